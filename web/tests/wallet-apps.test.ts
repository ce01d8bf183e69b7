import { expect, test } from 'vitest'
import { browseAddress, isPhone } from '../src/session/wallet-apps'

test('a link opens this very page in the browser of a wallet app', () => {
  const page = 'https://cards.example/auctions/7?next=%2Fwallet&a=b'
  const link = new URL(browseAddress('https://phantom.app/ul/browse/', page, 'https://cards.example'))
  expect(decodeURIComponent(link.pathname.replace('/ul/browse/', ''))).toBe(page)
  expect([...link.searchParams]).toEqual([['ref', 'https://cards.example']])
})

test('phones and tablets have such apps, computers have extensions', () => {
  const mac =
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15'
  expect(isPhone({ userAgent: mac, maxTouchPoints: 0 })).toBe(false)
  expect(isPhone({ userAgent: mac, maxTouchPoints: 5 })).toBe(true)
  expect(
    isPhone({ userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)', maxTouchPoints: 5 }),
  ).toBe(true)
  expect(isPhone({ userAgent: 'Mozilla/5.0 (Linux; Android 15; Pixel 9)', maxTouchPoints: 5 })).toBe(true)
  expect(isPhone({ userAgent: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64)', maxTouchPoints: 10 })).toBe(false)
})
