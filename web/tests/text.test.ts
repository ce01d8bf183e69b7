import { afterEach, expect, test } from 'vitest'
import { de } from '../src/text/de'
import { en } from '../src/text/en'
import { setTexts } from '../src/text/locale'
import { money, parseMoney, text, typedMoney } from '../src/text/text'

afterEach(() => setTexts('en'))

/** The text at each path; of a function, what it makes of numbers and names. */
function leaves(catalogue: object, prefix = ''): [string, string][] {
  return Object.entries(catalogue).flatMap(([key, value]) => {
    const path = `${prefix}${key}`
    if (typeof value === 'string') return [[path, value]]
    if (typeof value === 'function') return [[path, String(value('NAME', 'FROM', 'TO'))]]
    return leaves(value, `${path}.`)
  })
}

test('German has the keys of English, none is empty, and each uses what it is given', () => {
  const [english, german] = [new Map(leaves(en)), new Map(leaves(de))]
  expect([...german.keys()].sort()).toEqual([...english.keys()].sort())
  for (const [key, words] of german) {
    expect(words, key).not.toBe('')
    for (const given of ['NAME', 'FROM', 'TO'])
      expect(words.includes(given), key).toBe(english.get(key)?.includes(given))
  }
})

test('another language changes texts and numbers', async () => {
  await setTexts('de')
  expect(text.shell.logIn).toBe('Anmelden')
  // A no-break space stands before the sign.
  expect(money(1_234_500_000).replace(/\s/g, ' ')).toBe('1.234,50 $')
  expect(typedMoney(12_500_000)).toBe('12,50')
})

test.each([
  ['1.234,50', 1_234.5],
  ['12,5', 12.5],
  ['12.50', 12.5],
  ['1.234', 1_234],
])('someone who writes %s in German means %d', (typed, dollars) => {
  expect(parseMoney(typed, ',')).toBe(dollars * 1_000_000)
})
