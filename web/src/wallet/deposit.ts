import { rest, type Schema } from '../server/rest'
import { refreshBalance } from '../session/balance'
import { base58 } from '../session/base58'
import { canSignTransactions, sentTransaction, signedTransaction, type Wallet } from '../session/wallets'
import { amountOf } from '../text/text'

type Body = Schema<'OutsideDeposit'>
export type Prepared = Schema<'PreparedDepositItem'> & { body: Body }
type State = Schema<'SentDepositItem'>['state']

/** A deposit that was sent. Without `transaction` the wallet has sent it, and only its arrival tells. */
export interface Sending {
  body: Body
  signature: string
  transaction?: string
}
export type Outcome = State | 'arrived' | 'lost'

/** The wallet has not signed: nothing has happened. */
export class RefusedByWallet extends Error {}

const LOOK_EVERY_MS = 2_000
const LOOKS_MAX = 90
const LAMPORTS = 1_000_000_000
const LOCAL = 'solana:localnet'

export const sol = (lamports: number): string => `${amountOf(lamports / LAMPORTS)} SOL`

const isPublic = (chain: string | null): chain is string => chain !== null && chain !== LOCAL

/** Whether the wallet can give the deposit to its chain, by itself or through the engine. */
export const canDeposit = (wallet: Wallet, { chain }: Prepared): boolean =>
  canSignTransactions(wallet) || isPublic(chain)

export async function prepare(body: Body): Promise<Prepared> {
  return { ...(await rest('post', '/wallets/deposits/transactions', { body })), body }
}

/**
 * Wallets send by their own servers, which don't know a local chain: there, and for wallets that only sign, the engine
 * sends.
 */
export async function signAndSend(wallet: Wallet, { body, transaction, chain }: Prepared): Promise<Sending> {
  try {
    const signature = isPublic(chain)
      ? await sentTransaction(wallet, body.wallet, transaction, chain)
      : undefined
    if (signature) return { body, signature: base58(signature) }
    const signed = await signedTransaction(wallet, body.wallet, transaction)
    if (signed === undefined) throw new RefusedByWallet()
    return await handedOver({ body, signature: '', transaction: signed })
  } catch (error) {
    throw error instanceof Error && error.name === 'Problem' ? error : new RefusedByWallet(String(error))
  }
}

async function handedOver(sending: Sending): Promise<Sending> {
  const body = { ...sending.body, transaction: sending.transaction ?? '' }
  const { signature } = await rest('post', '/wallets/deposits/send', { body })
  return { ...sending, signature }
}

/** Follow it until it counts here, or never will. Returns what ends that. */
export function watch(sending: Sending, tell: (outcome: Outcome) => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let ended = false
  const look = async (left: number): Promise<void> => {
    const outcome = await stateOf(sending).catch(() => 'sent' as const)
    if (ended) return
    tell(outcome)
    if (outcome === 'arrived' || outcome === 'failed' || outcome === 'expired') return
    if (left === 0) tell('lost')
    else timer = setTimeout(() => void look(left - 1), LOOK_EVERY_MS)
  }
  void look(LOOKS_MAX)
  return () => {
    ended = true
    clearTimeout(timer)
  }
}

async function stateOf(sending: Sending): Promise<Outcome> {
  if (await hasArrived(sending)) {
    void refreshBalance()
    return 'arrived'
  }
  if (sending.transaction === undefined) return 'sent'
  const body = { ...sending.body, transaction: sending.transaction }
  return (await rest('post', '/wallets/deposits/send', { body })).state
}

async function hasArrived({ body, signature }: Sending): Promise<boolean> {
  if (body.copy) {
    const copy = await rest('get', '/copies/{copy_id}', { path: { copy_id: body.copy } })
    return copy.place !== 'withdrawn'
  }
  const { items } = await rest('get', '/wallets/deposits')
  return items.some((deposit) => deposit.signature === signature)
}
