import { useEffect, useState } from 'react'
import { type Card, type Copy, rest } from '../server/rest'

export interface SoldCard {
  copy: Copy
  card: Card
}

const CACHE_MAX = 500
// Cards don't change: a page that is opened again has them at once.
const cache = new Map<string, Promise<SoldCard | undefined>>()

function lookUp(copy: string): Promise<SoldCard | undefined> {
  let found = cache.get(copy)
  if (!found) {
    found = rest('get', '/copies/{copy_id}', { path: { copy_id: copy } })
      .then(async (item) => ({
        copy: item,
        card: await rest('get', '/catalog/cards/{card_id}', { path: { card_id: item.card } }),
      }))
      .catch(() => {
        cache.delete(copy)
        return undefined
      })
    if (cache.size >= CACHE_MAX) cache.delete(cache.keys().next().value as string)
    cache.set(copy, found)
  }
  return found
}

/** The first card that is sold: undefined while it is asked for, null if there is none. */
export function useCard(copies: readonly string[] | undefined, wanted = true): SoldCard | null | undefined {
  const known = copies !== undefined
  const copy = copies?.[0]
  const [card, setCard] = useState<SoldCard | null | undefined>(undefined)
  useEffect(() => {
    if (!known || !wanted) return
    if (copy === undefined) return setCard(null)
    let current = true
    void lookUp(copy).then((found) => current && setCard(found ?? null))
    return () => {
      current = false
    }
  }, [copy, known, wanted])
  return card
}
