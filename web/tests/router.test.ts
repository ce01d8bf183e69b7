import { expect, test } from 'vitest'
import { ownPath, routeOf } from '../src/router'
import { SCREENS } from '../src/screens'

const EXAMPLES: Record<string, string> = {
  auction: '0paeqifrs0003',
  card: '0paeqifrs0004',
  trade: '0paeqifrs0005',
  mint: '0paeqifrs0003',
  username: 'ann_b-3',
}
const example = (path: string) => path.replace(/\{(\w+)\}/g, (_, name: string) => EXAMPLES[name] ?? 'x')

test('each screen is at its path, and has a title', () => {
  for (const screen of SCREENS) {
    expect(routeOf(example(screen.path))?.screen).toBe(screen)
    expect(screen.title()).not.toBe('')
  }
})

test('a route has the parts of its path and the query', () => {
  const route = routeOf('/auctions/0paeqifrs0003?from=mail')
  expect(route?.params).toEqual({ auction: '0paeqifrs0003' })
  expect(route?.query.get('from')).toBe('mail')
})

test.each(['/auctions/NOT-AN-ID', '/nowhere', '/auctions/0paeqifrs0003/more'])('%s is no screen', (path) => {
  expect(routeOf(path)).toBeUndefined()
})

test.each([
  'https://evil.example',
  '//evil.example',
  '/\\evil.example',
  'javascript:alert(1)',
  '/nowhere',
  null,
])('a log-in never leads to %s', (next) => expect(ownPath(next)).toBe('/'))

test('a log-in leads back to the auction', () => {
  expect(ownPath('/auctions/0paeqifrs0003')).toBe('/auctions/0paeqifrs0003')
})
