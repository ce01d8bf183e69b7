import { useSyncExternalStore } from 'react'
import { newKey } from '../server/key'
import { rest } from '../server/rest'
import { BASE_UNITS } from '../text/text'
import { currentSession, onSession } from './session'

export const PLAY_MONEY = 1_000 * BASE_UNITS
const CURRENCY = 'USDC' as const

let available: number | undefined
const listeners = new Set<() => void>()

function set(value: number | undefined): void {
  available = value
  for (const listener of [...listeners]) listener()
}

/** Ask for the balance anew; the old one stays where that fails. */
export async function refreshBalance(): Promise<void> {
  const user = currentSession()
  if (!user) return set(undefined)
  const found = await rest('get', '/ledger/balance').catch(() => undefined)
  if (currentSession() !== user || !found) return
  set(found.balances.find(({ currency }) => currency === CURRENCY)?.available ?? 0)
}

/** The local faucet. Rejects with Problem where it is turned off. */
export async function depositPlayMoney(): Promise<void> {
  const body = { amount: PLAY_MONEY, currency: CURRENCY }
  await rest('post', '/ledger/deposits', { key: newKey(), body })
  await refreshBalance()
}

onSession(() => {
  set(undefined)
  void refreshBalance()
})

/** What the user can bid with, in base units; undefined for guests and until it is known. */
export function useBalance(): number | undefined {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => available,
  )
}
