import { expect, test } from 'vitest'
import { addressOf, chosenOf, EVERYTHING, filtersOf, searchOf, unfiltered } from '../src/browse/search'

const WHOLE = {
  q: 'dark crown',
  set: 'omens',
  rarity: 'rare',
  status: 'open',
  minPrice: 1_000_000,
  maxPrice: 4_999_999,
  traits: { element: 'tide', artist: 'Lena Wu: the elder' },
  sort: 'price',
} as const

const ofAddress = (address: string) => searchOf(new URL(address, 'http://x').searchParams)

test('an address restores the whole search', () => {
  expect(ofAddress(addressOf(WHOLE))).toEqual(WHOLE)
  expect(addressOf(EVERYTHING)).toBe('/browse')
})

test('what makes no sense in an address is ignored', () => {
  expect(ofAddress('/browse?sort=worst&status=maybe&min=-1&max=1e3&trait=nothing')).toEqual(EVERYTHING)
})

test('each filter can be taken out of the search, words and order stay', () => {
  const chosen = chosenOf(WHOLE)
  expect(chosen.map(({ group }) => group)).toEqual([
    'status',
    'rarity',
    'set',
    'price',
    'trait:element',
    'trait:artist',
  ])
  for (const { without } of chosen) expect(chosenOf(without).length).toBe(chosen.length - 1)
  expect(unfiltered(WHOLE)).toEqual({ ...EVERYTHING, q: WHOLE.q, sort: WHOLE.sort })
})

test('the server gets each trait as name:value', () => {
  expect(filtersOf(WHOLE).trait).toEqual(['element:tide', 'artist:Lena Wu: the elder'])
})
