import { expect, test } from 'vitest'
import { associationUri, randomPort } from '../src/session/wallet-app/association'
import { Sealed } from '../src/session/wallet-app/sealed'
import { reachesApps } from '../src/session/wallet-apps'

const CHROME =
  'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36'
const SALT = new Uint8Array(65).fill(7)

/** The two ends of one session. */
async function ends(): Promise<[Sealed, Sealed]> {
  const pair = () => crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits'])
  const point = async ({ publicKey }: CryptoKeyPair) =>
    new Uint8Array(await crypto.subtle.exportKey('raw', publicKey))
  const [page, app] = await Promise.all([pair(), pair()])
  return [
    await Sealed.between(page.privateKey, await point(app), SALT),
    await Sealed.between(app.privateKey, await point(page), SALT),
  ]
}

test('both ends of a session read what the other has sealed', async () => {
  const [page, app] = await ends()
  expect(await app.open(await page.seal({ id: 1, method: 'authorize' }))).toEqual({
    id: 1,
    method: 'authorize',
  })
  expect(await page.open(await app.seal({ id: 1, result: 'ü' }))).toEqual({ id: 1, result: 'ü' })
})

test('a message that comes twice, late or changed is refused', async () => {
  const [page, app] = await ends()
  const [first, second] = [await page.seal(1), await page.seal(2)]
  await app.open(first)
  await expect(app.open(first)).rejects.toThrow()
  const [other, late] = await ends()
  await other.seal(1)
  await expect(late.open(await other.seal(2))).rejects.toThrow('not the next message')
  // The number is authenticated with the rest.
  second.set([0, 0, 0, 1])
  await expect(app.open(second)).rejects.toThrow()
})

test('an association names key and port in a URI of the protocol', () => {
  expect(associationUri('BA+/x8==', 50_000)).toBe(
    'solana-wallet:/v1/associate/local?association=BA-_x8&port=50000&v=v1',
  )
  const ports = Array.from({ length: 200 }, randomPort)
  expect(Math.min(...ports)).toBeGreaterThanOrEqual(49_152)
  expect(Math.max(...ports)).toBeLessThanOrEqual(65_535)
})

test('Chrome on Android reaches wallet apps; computers, iPhones and pages within an app do not', () => {
  expect(reachesApps({ userAgent: CHROME })).toBe(true)
  expect(reachesApps({ userAgent: CHROME.replace('; K)', '; K; wv)') })).toBe(false)
  expect(reachesApps({ userAgent: CHROME.replace('Linux; Android 10; K', 'X11; Linux x86_64') })).toBe(false)
  expect(
    reachesApps({ userAgent: 'Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0' }),
  ).toBe(false)
  expect(reachesApps({ userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/140' })).toBe(
    false,
  )
})
