import { describe, expect, it } from 'vitest'
import { changed, codeOf, copiesOf, fileFault, nameOf, withFiles } from '../src/mint/draft'
import { signatureLink } from '../src/mint/signature-link'
import { isKept, mayWait } from '../src/offline/rules'
import { wayOf } from '../src/worker/caching'
import { pageOf } from '../src/worker/page-of'
import { parsedMessage, shownMessage } from '../src/worker/push-message'

const SITE = 'https://cards.example'
const ID = '0paeqifrs0003'

describe('the service worker', () => {
  const way = (path: string, mode = 'cors', method = 'GET') =>
    wayOf({ method, mode, url: new URL(path, SITE).href }, SITE)

  it('never answers a request to the API, nor to another site', () => {
    for (const path of [
      '/api/v1/users/me',
      '/api/v1/catalog/cards',
      '/ws',
      'https://other.example/assets/a.js',
    ])
      expect(way(path)).toBeUndefined()
    expect(way('/api/v1/users/me', 'navigate')).toBeUndefined()
    expect(way('/docs', 'navigate')).toBeUndefined()
    expect(way('/assets/a.js', 'cors', 'POST')).toBeUndefined()
  })

  it('answers pages, files of the app and pictures', () => {
    expect(way('/mints?x=1', 'navigate')).toBe('page')
    expect(way('/assets/index-Ab1.js')).toBe('asset')
    expect(way('/media/cards/base-4.webp', 'no-cors')).toBe('picture')
  })
})

describe('a push message', () => {
  const sent = {
    kind: 'outbid',
    text: 'You were outbid: Pikachu',
    subject: 'Pikachu',
    total: 3,
    tag: 'outbid 7',
    about: { auction: ID },
  }

  it('is shown in the language of the app, and opens the page that it is about', () => {
    const message = parsedMessage(JSON.stringify(sent))
    const { title, options } = shownMessage(message as NonNullable<typeof message>, 'de')
    expect(title).toBe('Sie wurden überboten')
    expect(options).toMatchObject({
      body: 'Pikachu (+2)',
      tag: 'outbid 7',
      data: { page: `/auctions/${ID}` },
    })
  })

  it('of an unknown kind is shown in the words of the engine', () => {
    const message = { ...sent, kind: 'news', total: 1 }
    expect(shownMessage(message, 'en')).toMatchObject({ title: sent.text, options: { body: '' } })
  })

  it('that is none is not shown', () => {
    expect(parsedMessage('{"kind": 1}')).toBeUndefined()
    expect(parsedMessage('nothing')).toBeUndefined()
  })

  it('leads to no address but a page of the app', () => {
    expect(pageOf({ auction: '//evil.example' })).toBe('/notifications')
    expect(pageOf({ mint: ID })).toBe(`/mints/${ID}`)
  })
})

describe('without a network', () => {
  it('the catalog and the portfolio are kept, auctions and money are not', () => {
    for (const kept of [
      '/catalog/cards?q=a',
      `/copies/${ID}`,
      '/users/me/portfolio',
      '/users/me/copies?limit=9',
    ])
      expect(isKept(kept)).toBe(true)
    for (const not of [
      '/auctions',
      `/auctions/${ID}`,
      '/ledger/balance',
      '/sessions',
      '/users/me/export',
      '/api-keys',
    ])
      expect(isKept(not)).toBe(false)
  })

  it('a bid never waits, nor anything else that moves money or cards', () => {
    for (const path of [
      `/auctions/${ID}/bids`,
      '/ledger/deposits',
      `/copies/${ID}/give`,
      '/trades',
      '/mints',
    ])
      for (const verb of ['post', 'put', 'delete']) expect(mayWait(verb, path)).toBe(false)
    expect(mayWait('put', `/users/me/watches/card/${ID}`)).toBe(true)
    expect(mayWait('post', `/users/me/watches/card/${ID}`)).toBe(false)
  })
})

describe('a draft of a card', () => {
  const png = (name: string, size = 10) => ({ name, type: 'image/png', size }) as File

  it('is named after its file', () => {
    expect(nameOf('fire_dragon-02.final.png')).toBe('Fire dragon 02 final')
  })

  it('is refused for its type and its size', () => {
    expect(fileFault({ type: 'image/svg+xml', size: 5 })).toBe('type')
    expect(fileFault({ type: 'image/png', size: 0 })).toBe('empty')
    expect(fileFault({ type: 'image/png', size: 11 * 1024 * 1024 })).toBe('size')
  })

  it('has a number of its own, and there are twenty at most', () => {
    const { drafts, refused } = withFiles(
      [],
      Array.from({ length: 21 }, (_, n) => png(`${n}.png`)),
      'common',
    )
    expect(new Set(drafts.map(({ number }) => number)).size).toBe(20)
    expect(refused).toEqual([{ name: '20.png', fault: 'many' }])
  })

  it('that is changed is another request, of the same file', () => {
    const [draft] = withFiles([], [png('a.png')], 'common').drafts
    if (!draft) throw new Error('no draft')
    const next = changed(draft, { name: 'B' })
    expect(next.keys.upload).toBe(draft.keys.upload)
    expect(next.keys.card).not.toBe(draft.keys.card)
    expect(copiesOf({ ...draft, copies: '0' })).toBeUndefined()
    expect(copiesOf({ ...draft, copies: '12' })).toBe(12)
  })

  it('belongs to a set with a code that the server takes', () => {
    expect(codeOf('  Ocean & Öl! ')).toBe('ocean-oel')
    expect(codeOf('Café №1')).toBe('cafe-1')
    expect(codeOf('???')).toBe('')
  })
})

describe('the link of a signature', () => {
  it('names the chain, and there is none for a local chain', () => {
    expect(signatureLink('abc', 'solana:devnet')).toBe('https://explorer.solana.com/tx/abc?cluster=devnet')
    expect(signatureLink('abc', 'solana:mainnet')).toBe('https://explorer.solana.com/tx/abc')
    expect(signatureLink('abc', null)).toBeUndefined()
  })
})
