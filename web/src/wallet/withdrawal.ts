import { Problem } from '../server/problem'
import type { Schema } from '../server/rest'
import { money, text } from '../text/text'
import type { Values } from '../ui/form'

/** The choice of an address that is typed. No address has this length. */
export const OTHER = 'other'

export type LinkedWallet = Schema<'WalletList'>['links'][number]

const ADDRESS = /^[1-9A-HJ-NP-Za-km-z]{32,44}$/

/** What was typed can't be an address. */
export class NotAnAddress extends Error {}

/** Where something goes; `linked`: a wallet that has signed that it is the user's. */
export interface Destination {
  address: string
  linked: boolean
}

/** What was chosen by DestinationFields; without linked wallets there is no choice. Throws NotAnAddress. */
export function destinationOf(values: Values): Destination {
  const chosen = values('destination')
  const linked = chosen !== '' && chosen !== OTHER
  const address = linked ? chosen : values('address').trim()
  if (!ADDRESS.test(address)) throw new NotAnAddress()
  return { address, linked }
}

/** Why a withdrawal was refused, where that says more than its code; else undefined. */
export function refusalOf(error: unknown): string | undefined {
  if (error instanceof NotAnAddress) return text.wallet.badAddress.not_an_address
  if (!(error instanceof Problem)) return undefined
  const reasons: Readonly<Record<string, string>> = text.wallet.badAddress
  const [maximum, reason, wait] = ['maximum', 'reason', 'retry_after_ms'].map((name) => error.field(name))
  switch (error.code) {
    case 'invalid_address':
      return reasons[String(reason)]
    case 'withdrawal_too_large':
      return typeof maximum === 'number' ? text.wallet.tooLarge(money(maximum)) : undefined
    case 'daily_limit_reached':
      return typeof maximum === 'number' ? text.wallet.dailyLimit(money(maximum)) : undefined
    case 'cooling_down':
      return typeof wait === 'number' ? text.wallet.coolingDown(Math.ceil(wait / 60_000)) : undefined
    default:
      return undefined
  }
}
