import { useEffect, useState } from 'react'
import { rest, type Schema } from '../server/rest'

/** What a card is sold for, as it was when the page asked; undefined for what is no card, and until it is known. */
export function useMarket(card: string | undefined): Schema<'CardMarket'> | undefined {
  const [market, setMarket] = useState<Schema<'CardMarket'> | undefined>()
  useEffect(() => {
    if (card === undefined) return setMarket(undefined)
    const stop = new AbortController()
    rest('get', '/catalog/cards/{card_id}/market', { path: { card_id: card }, signal: stop.signal })
      .then(setMarket)
      .catch(() => undefined)
    return () => stop.abort()
  }, [card])
  return market
}
