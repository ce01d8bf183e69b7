import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const FOLDER = new URL('../src/styles/', import.meta.url)

/** The selectors of a file, also those in media queries. */
function selectorsOf(file: string): Set<string> {
  const text = readFileSync(new URL(file, FOLDER), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
  const lists = [...text.matchAll(/([^{}@;]+)\{/g)].map(([, list = '']) => list)
  return new Set(
    lists.flatMap((list) => list.split(',')).map((selector) => selector.trim().replace(/\s+/g, ' ')),
  )
}

// All of them are loaded with every screen: a second rule for the same elements would be one for another screen's, too.
test('a selector stands in one file', () => {
  const places = new Map<string, string[]>()
  for (const file of readdirSync(FOLDER))
    for (const selector of selectorsOf(file))
      if (/^[.#a-z]/.test(selector) && !/^(?:media|supports|from$|to$)/.test(selector))
        places.set(selector, [...(places.get(selector) ?? []), file])
  expect([...places].filter(([, files]) => files.length > 1)).toEqual([])
})
