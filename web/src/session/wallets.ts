import { getWallets } from '@wallet-standard/app'
import type { Wallet, WalletAccount } from '@wallet-standard/base'
import type { Schema } from '../server/rest'
import { base58 } from './base58'
import { base64, fromBase64 } from './base64'

export type { Wallet }

export type Signed = Pick<Schema<'SolanaLogIn'>, 'address' | 'message' | 'signature'>
export type Challenge = Schema<'SignInChallenge'>
interface SignedOutput {
  account?: WalletAccount
  signedMessage: Uint8Array
  signature: Uint8Array
}
interface SignIn {
  signIn(...inputs: object[]): Promise<readonly SignedOutput[]>
}
interface Connect {
  connect(): Promise<{ accounts: readonly WalletAccount[] }>
}
interface SignMessage {
  signMessage(...inputs: object[]): Promise<readonly SignedOutput[]>
}

interface SignTransaction {
  signTransaction(...inputs: object[]): Promise<readonly { signedTransaction: Uint8Array }[]>
}

interface SendTransaction {
  signAndSendTransaction(...inputs: object[]): Promise<readonly { signature: Uint8Array }[]>
}

const SIGN_TRANSACTION = 'solana:signTransaction'
const SEND_TRANSACTION = 'solana:signAndSendTransaction'
const SIGN_IN = 'solana:signIn'
const SIGN_MESSAGE = 'solana:signMessage'
const CONNECT = 'standard:connect'
/** Of the wallet that stands for the apps of the device. */
const APP = 'ece:walletApp'

/** The wallets of the browser that can sign for Solana, by the Wallet Standard. They may register at any time. */
export function solanaWallets(): Wallet[] {
  return getWallets()
    .get()
    .filter(({ features }) => SIGN_IN in features || (SIGN_MESSAGE in features && CONNECT in features))
}

export const isInBrowser = ({ features }: Wallet): boolean => !(APP in features)

export function onWallets(listener: () => void): () => void {
  const wallets = getWallets()
  const ends = [wallets.on('register', listener), wallets.on('unregister', listener)]
  return () => {
    for (const end of ends) end()
  }
}

/** What the wallet signed of the server's challenge. The server checks these very bytes. */
export async function signedBy(wallet: Wallet, challenge: Challenge): Promise<Signed> {
  const { address, output } =
    SIGN_IN in wallet.features ? await signIn(wallet, challenge) : await signText(wallet, challenge)
  return {
    address,
    message: base64(output.signedMessage),
    signature: base58(output.signature),
  }
}

/** The address of the wallet's first account. */
export async function addressOf(wallet: Wallet): Promise<string> {
  const connect = wallet.features[CONNECT] as Connect | undefined
  const accounts = connect ? (await connect.connect()).accounts : wallet.accounts
  const account = accounts[0]
  if (!account) throw new DOMException('the wallet has no account', 'NotAllowedError')
  return account.address
}

export const canSignTransactions = ({ features }: Wallet): boolean =>
  SIGN_TRANSACTION in features && CONNECT in features

/** By the servers of the wallet, which know public chains alone. */
export const canSendTransactions = ({ features }: Wallet): boolean =>
  SEND_TRANSACTION in features && CONNECT in features

/** A transaction (base64) as this account of the wallet has signed it. Undefined: the wallet has no such account. */
export async function signedTransaction(
  wallet: Wallet,
  address: string,
  transaction: string,
): Promise<string | undefined> {
  const { accounts } = await (wallet.features[CONNECT] as Connect).connect()
  const account = accounts.find((one) => one.address === address)
  if (!account) return undefined
  const feature = wallet.features[SIGN_TRANSACTION] as SignTransaction
  const [output] = await feature.signTransaction({ account, transaction: fromBase64(transaction) })
  if (!output) throw new DOMException('the wallet has not signed', 'NotAllowedError')
  return base64(output.signedTransaction)
}

/** The signature of a transaction that the wallet signs and sends. Undefined: it does not send, or lacks the account. */
export async function sentTransaction(
  wallet: Wallet,
  address: string,
  transaction: string,
  chain: string,
): Promise<Uint8Array | undefined> {
  const feature = wallet.features[SEND_TRANSACTION] as SendTransaction | undefined
  if (!feature) return undefined
  const { accounts } = await (wallet.features[CONNECT] as Connect).connect()
  const account = accounts.find((one) => one.address === address)
  if (!account) return undefined
  const asked = { account, transaction: fromBase64(transaction), chain }
  const [output] = await feature.signAndSendTransaction(asked)
  return output?.signature
}

async function signIn(wallet: Wallet, challenge: Challenge) {
  const [output] = await (wallet.features[SIGN_IN] as SignIn).signIn(given(challenge))
  if (!output?.account) throw new DOMException('the wallet has not signed', 'NotAllowedError')
  return { address: output.account.address, output }
}

/** For wallets that only sign texts: the text that `signIn` would have made. */
async function signText(wallet: Wallet, challenge: Challenge) {
  const { accounts } = await (wallet.features[CONNECT] as Connect).connect()
  const account = accounts[0]
  if (!account) throw new DOMException('the wallet has no account', 'NotAllowedError')
  const message = new TextEncoder().encode(signInText(challenge, account.address))
  const [output] = await (wallet.features[SIGN_MESSAGE] as SignMessage).signMessage({ account, message })
  if (!output) throw new DOMException('the wallet has not signed', 'NotAllowedError')
  return { address: account.address, output }
}

const given = (challenge: Challenge): object =>
  Object.fromEntries(Object.entries(challenge).filter(([, value]) => value !== null && value !== undefined))

export function signInText(challenge: Challenge, address: string): string {
  const { domain, statement, uri, version, chainId, nonce, issuedAt, expirationTime } = challenge
  return [
    `${domain} wants you to sign in with your Solana account:`,
    address,
    '',
    statement,
    '',
    `URI: ${uri}`,
    `Version: ${version}`,
    ...(chainId ? [`Chain ID: ${chainId}`] : []),
    `Nonce: ${nonce}`,
    `Issued At: ${issuedAt}`,
    `Expiration Time: ${expirationTime}`,
  ].join('\n')
}
