import type { Schema } from '../server/rest'
import type { Side } from './negotiation'
import type { Payment } from './worth'

type Holders = ReadonlyMap<string, string>

/** The wallet that holds all of these copies, or that was named where there are none. Undefined: not one, or unknown. */
export function walletOf(copies: readonly string[], holders: Holders, named: string): string | undefined {
  if (copies.length === 0) return named || undefined
  const [only, ...others] = new Set(copies.map((copy) => holders.get(copy)))
  return others.length === 0 ? only : undefined
}

/** Whether these copies are known to be in several wallets: a swap has one on each side. */
export function areApart(copies: readonly string[], holders: Holders): boolean {
  return new Set(copies.flatMap((copy) => holders.get(copy) ?? [])).size > 1
}

export const givenBy = (wallet: string, { copies, money }: Side): Schema<'Given'> => ({
  wallet,
  copies: [...copies],
  pays: money,
})

/** What is paid in these legs, and how it is divided. */
export function paymentOf(legs: Schema<'SwapPreview'>['legs']): Payment {
  const sum = (...purposes: readonly string[]) =>
    legs.reduce(
      (total, leg) => total + (leg.kind === 'payment' && purposes.includes(leg.purpose) ? leg.amount : 0),
      0,
    )
  return { paid: sum('sale', 'fee', 'royalty'), fee: sum('fee'), royalties: sum('royalty') }
}
