import { getWallets } from '@wallet-standard/app'
import type { Wallet, WalletAccount } from '@wallet-standard/base'
import { text } from '../../text/text'
import { toast } from '../../ui/toast'
import { base58 } from '../base58'
import { base64, fromBase64 } from '../base64'
import { type Challenge, signInText } from '../wallets'
import { WalletAppFault } from './association'
import { Session } from './session'

interface Authorization {
  auth_token: string
  accounts: readonly { address: string }[]
  sign_in_result?: { address: string; signed_message: string; signature: string }
}
interface Transaction {
  transaction: Uint8Array
  chain?: string
}

const CHAINS = ['solana:mainnet', 'solana:devnet', 'solana:testnet'] as const
/** A tap opens the app once: what follows a connection at once uses the same session. */
const KEPT_MS = 3_000
const SIGNATURE_BYTES = 64
const NO_ACCOUNT = 'the wallet app has authorised no account'

/** The wallet apps of an Android device, as one wallet of the Wallet Standard. */
class WalletApp implements Wallet {
  readonly version = '1.0.0'
  readonly name = text.wallet.app
  readonly icon = 'data:image/png;base64,'
  readonly chains = CHAINS
  accounts: readonly WalletAccount[] = []
  /** In memory alone: after a reload the app asks its user again. */
  #token: string | undefined
  #chain: (typeof CHAINS)[number] | undefined
  #session: Session | undefined
  #closing: ReturnType<typeof setTimeout> | undefined
  #last: Promise<unknown> = Promise.resolve()

  readonly features = {
    'standard:connect': { version: '1.0.0', connect: () => this.#connect() },
    'solana:signIn': { version: '1.0.0', signIn: (input: Challenge) => this.#signIn(input) },
    'solana:signTransaction': {
      version: '1.0.0',
      supportedTransactionVersions: ['legacy', 0],
      signTransaction: (input: Transaction) => this.#signTransaction(input),
    },
    'solana:signAndSendTransaction': {
      version: '1.0.0',
      supportedTransactionVersions: ['legacy', 0],
      signAndSendTransaction: (input: Transaction) => this.#send(input),
    },
    'ece:walletApp': {},
  } as const

  async #connect() {
    if (this.accounts.length === 0) await this.#within((session) => this.#authorize(session), KEPT_MS)
    return { accounts: this.accounts }
  }

  #signIn(input: Challenge) {
    return this.#within(async (session) => {
      // A new authorisation: with the token of an earlier one apps do not ask, and do not sign.
      this.#token = undefined
      const found = await this.#authorize(session, input.chainId, { sign_in_payload: input })
      const signed = found.sign_in_result ?? (await this.#signText(session, found, input))
      // The server checks whose signature it is.
      const address = base58(fromBase64(signed.address))
      const account = this.accounts.find((one) => one.address === address)
      if (!account) throw new WalletAppFault('ended', NO_ACCOUNT)
      const [signedMessage, signature] = [fromBase64(signed.signed_message), fromBase64(signed.signature)]
      return [{ account, signedMessage, signature }]
    })
  }

  #signTransaction({ transaction, chain }: Transaction) {
    return this.#within(async (session) => {
      await this.#authorize(session, chain)
      const payloads = [base64(transaction)]
      const answer = await session.request<{ signed_payloads: string[] }>('sign_transactions', { payloads })
      return answer.signed_payloads.map((one) => ({ signedTransaction: fromBase64(one) }))
    })
  }

  #send({ transaction, chain }: Transaction) {
    return this.#within(async (session) => {
      await this.#authorize(session, chain)
      const payloads = [base64(transaction)]
      const answer = await session.request<{ signatures: string[] }>('sign_and_send_transactions', {
        payloads,
      })
      return answer.signatures.map((one) => ({ signature: fromBase64(one) }))
    })
  }

  /** For apps without Sign-In With Solana: the text that it would have made. */
  async #signText(session: Session, { accounts }: Authorization, input: Challenge) {
    const [account] = accounts
    if (!account) throw new WalletAppFault('ended', NO_ACCOUNT)
    const message = new TextEncoder().encode(signInText(input, base58(fromBase64(account.address))))
    const asked = { addresses: [account.address], payloads: [base64(message)] }
    const answer = await session.request<{ signed_payloads: string[] }>('sign_messages', asked)
    const signature = fromBase64(answer.signed_payloads[0] ?? '').slice(-SIGNATURE_BYTES)
    return { address: account.address, signed_message: base64(message), signature: base64(signature) }
  }

  async #authorize(session: Session, chain?: string | null, more: object = {}): Promise<Authorization> {
    // Apps know these alone: for a local chain they sign as for the main one.
    this.#chain = CHAINS.find((one) => one === chain) ?? this.#chain
    const asked = {
      identity: { uri: location.origin, icon: 'icon-192.png', name: text.brand },
      ...(this.#chain && { chain: this.#chain }),
      ...(this.#token !== undefined && { auth_token: this.#token }),
      ...more,
    }
    // What the app does not confirm is over.
    this.#token = undefined
    this.accounts = []
    const found = await session.request<Authorization>('authorize', asked)
    this.accounts = found.accounts.map(({ address }) => this.#accountOf(address))
    this.#token = found.auth_token
    return found
  }

  #accountOf(address: string): WalletAccount {
    const publicKey = fromBase64(address)
    const features = Object.keys(this.features) as WalletAccount['features']
    return { address: base58(publicKey), publicKey, chains: this.chains, features }
  }

  /** One after the other, each in the session that is still open, or a new one. */
  #within<T>(work: (session: Session) => Promise<T>, keptMs = 0): Promise<T> {
    const done = this.#last.then(async () => {
      clearTimeout(this.#closing)
      try {
        if (!this.#session?.isOpen) this.#session = await Session.open()
        const found = await work(this.#session)
        if (keptMs > 0) this.#closing = setTimeout(() => this.#session?.close(), keptMs)
        else this.#session.close()
        return found
      } catch (error) {
        this.#session?.close()
        if (error instanceof WalletAppFault) toast(text.wallet.appFaults[error.reason], true)
        throw error
      }
    })
    this.#last = done.catch(() => undefined)
    return done
  }
}

let known = false

/** Once for a page. */
export function registerWalletApp(): void {
  if (known) return
  known = true
  getWallets().register(new WalletApp())
}
