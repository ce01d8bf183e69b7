import type { Update } from 'ece-socket'
import { useEffect, useReducer } from 'react'
import { socket } from '../connection'
import { rest } from '../server/rest'
import { afterUpdate, type Negotiation, NOTHING_KNOWN, type TradeState, withState } from './negotiation'

type Action =
  | { kind: 'update'; update: Update<TradeState> }
  | { kind: 'state'; state: TradeState & { epoch: number; seq: number } }
  | { kind: 'leave' }

function reduce(known: Negotiation, action: Action): Negotiation {
  switch (action.kind) {
    case 'update':
      return afterUpdate(known, action.update)
    case 'state':
      return withState(known, action.state, action.state.epoch, action.state.seq)
    case 'leave':
      return NOTHING_KNOWN
  }
}

const AGAIN_AFTER_MS = 2_000

/** A trade as it happens. */
export function useTrade(id: string): Negotiation {
  const [known, dispatch] = useReducer(reduce, NOTHING_KNOWN)
  useEffect(() => {
    const leave = socket.followTrade(id, (update) => dispatch({ kind: 'update', update }))
    return () => {
      leave()
      dispatch({ kind: 'leave' })
    }
  }, [id])

  const { stale, seq } = known
  // biome-ignore lint/correctness/useExhaustiveDependencies: each event is a reason to ask anew
  useEffect(() => {
    if (!stale) return
    const stop = new AbortController()
    let timer: ReturnType<typeof setTimeout>
    const ask = () =>
      rest('get', '/trades/{trade}', { path: { trade: id }, signal: stop.signal })
        .then((state) => dispatch({ kind: 'state', state: state as unknown as TradeState & typeof state }))
        .catch(() => {
          if (!stop.signal.aborted) timer = setTimeout(ask, AGAIN_AFTER_MS)
        })
    void ask()
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [stale, seq, id])
  return known
}
