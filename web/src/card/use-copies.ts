import { useEffect, useState } from 'react'
import { type Copy, rest } from '../server/rest'

const CACHE_MAX = 500
// Which card a copy is of never changes; where it is and whose may.
const cache = new Map<string, Promise<Copy | undefined>>()

/** What a copy is; undefined where it can't be found. */
export function lookUp(copy: string): Promise<Copy | undefined> {
  let found = cache.get(copy)
  if (!found) {
    found = rest('get', '/copies/{copy_id}', { path: { copy_id: copy } }).catch(() => {
      cache.delete(copy)
      return undefined
    })
    if (cache.size >= CACHE_MAX) cache.delete(cache.keys().next().value as string)
    cache.set(copy, found)
  }
  return found
}

/** What these copies are, by their ids, as far as it is known. */
export function useCopies(ids: readonly string[]): ReadonlyMap<string, Copy> {
  const [copies, setCopies] = useState<ReadonlyMap<string, Copy>>(new Map())
  const wanted = ids.join()
  useEffect(() => {
    let current = true
    void Promise.all((wanted ? wanted.split(',') : []).map(lookUp)).then((found) => {
      if (current) setCopies(new Map(found.flatMap((copy) => (copy ? [[copy.id, copy]] : []))))
    })
    return () => {
      current = false
    }
  }, [wanted])
  return copies
}
