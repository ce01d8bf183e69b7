import { useEffect, useState } from 'react'
import type { Copy } from '../server/rest'
import { lookUp } from './use-copies'

/** The first of the copies that are sold: undefined while it is asked for, null if there is none. */
export function useCard(copies: readonly string[]): Copy | null | undefined {
  const copy = copies[0]
  const [card, setCard] = useState<Copy | null>()
  useEffect(() => {
    if (copy === undefined) return setCard(null)
    let current = true
    void lookUp(copy).then((found) => current && setCard(found ?? null))
    return () => {
      current = false
    }
  }, [copy])
  return card
}
