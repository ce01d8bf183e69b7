import { useEffect, useState } from 'react'
import { rest } from '../server/rest'

/** The wallets that hold these copies; those that are not known yet, or not minted, are missing. */
export function useHolders(copies: readonly string[]): ReadonlyMap<string, string> {
  const [holders, setHolders] = useState<ReadonlyMap<string, string>>(new Map())
  const wanted = copies.join()
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is known is not asked for again
  useEffect(() => {
    const stop = new AbortController()
    const missing = (wanted ? wanted.split(',') : []).filter((copy) => !holders.has(copy))
    for (const copy of missing)
      rest('get', '/copies/{copy_id}/ownership', { path: { copy_id: copy }, signal: stop.signal })
        .then(({ holder }) => setHolders((known) => new Map(known).set(copy, holder)))
        .catch(() => undefined)
    return () => stop.abort()
  }, [wanted])
  return holders
}
