"""A wallet as an extension brings it: it registers by the Wallet Standard, and signs with a keypair of the test."""

import base64
import json
from collections.abc import Callable

from browsers import Person
from solders.keypair import Keypair
from solders.message import to_bytes_versioned
from solders.transaction import VersionedTransaction

# It registers by the events of the standard, whoever comes first.
_SCRIPT = """
const account = {address: ADDRESS, publicKey: new Uint8Array(32), chains: ['solana:localnet'], features: []}
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0))
const text = data => btoa(String.fromCharCode(...data))
const signed = async message => ({account, signedMessage: message,
  signature: bytes(await window.signForTest(text(message)))})
const textOf = input => [`${input.domain} wants you to sign in with your Solana account:`, ADDRESS, '',
  input.statement, '', `URI: ${input.uri}`, `Version: ${input.version}`,
  ...(input.chainId ? [`Chain ID: ${input.chainId}`] : []), `Nonce: ${input.nonce}`,
  `Issued At: ${input.issuedAt}`, `Expiration Time: ${input.expirationTime}`].join('\\n')
const connect = {'standard:connect': {version: '1.0.0', connect: async () => ({accounts: [account]})}}
const signIn = {'solana:signIn': {version: '1.0.0',
  signIn: async input => [await signed(new TextEncoder().encode(textOf(input)))]}}
const signMessage = {'solana:signMessage': {version: '1.0.0',
  signMessage: async ({message}) => [await signed(message)]}}
const signTransaction = {'solana:signTransaction': {version: '1.0.0', supportedTransactionVersions: ['legacy', 0],
  signTransaction: async ({transaction}) => {
    const made = await window.signTransactionForTest(text(transaction))
    if (!made) throw new Error('User rejected the request.')
    return [{signedTransaction: bytes(made)}]
  }}}
const signAndSend = {'solana:signAndSendTransaction': {version: '1.0.0', supportedTransactionVersions: ['legacy', 0],
  signAndSendTransaction: async ({transaction, chain}) => {
    const made = await window.sendTransactionForTest(text(transaction), chain)
    if (!made) throw new Error('User rejected the request.')
    return [{signature: bytes(made)}]
  }}}
const all = {
  signIn,
  signMessage: {...connect, ...signMessage},
  transactions: {...connect, ...signIn, ...signTransaction},
  sending: {...connect, ...signIn, ...signAndSend},
}
const wallet = {version: '1.0.0', name: 'Test Wallet', icon: 'data:image/png;base64,', chains: ['solana:localnet'],
  features: all[FEATURES], accounts: [account]}
const register = api => api.register(wallet)
addEventListener('wallet-standard:app-ready', event => register(event.detail))
dispatchEvent(new CustomEvent('wallet-standard:register-wallet', {detail: register}))
"""


def signed_by(pair: Keypair, transaction: bytes) -> bytes:
    """The transaction with the signature of this wallet, which is one of its signers."""
    unsigned = VersionedTransaction.from_bytes(transaction)
    signatures = list(unsigned.signatures)
    place = list(unsigned.message.account_keys).index(pair.pubkey())
    signatures[place] = pair.sign_message(to_bytes_versioned(unsigned.message))
    return bytes(VersionedTransaction.populate(unsigned.message, signatures))


class StandardWallet:
    """In all pages that this person opens from now on.

    ``features``: ``signIn``, ``signMessage``, ``transactions``, or ``sending``: it signs only what it sends by itself,
    by ``send``, which gets the transaction.
    """

    def __init__(
        self, one: Person, features: str, pair: Keypair | None = None, send: Callable[[str], object] | None = None
    ) -> None:
        self.pair = pair or Keypair()
        # Whether its user refuses what it is asked to sign.
        self.refuses = False
        # The chains of what it was asked to send.
        self.sent_to: list[str] = []
        self._send = send
        one.page.expose_function("signForTest", self._sign)
        one.page.expose_function("signTransactionForTest", self._sign_transaction)
        one.page.expose_function("sendTransactionForTest", self._send_transaction)
        constants = f"const ADDRESS = {json.dumps(self.address)}, FEATURES = {json.dumps(features)}\n"
        one.context.add_init_script(f"(() => {{ {constants}{_SCRIPT} }})()")

    @property
    def address(self) -> str:
        return str(self.pair.pubkey())

    def _sign(self, message: str) -> str:
        return base64.b64encode(bytes(self.pair.sign_message(base64.b64decode(message)))).decode()

    def _sign_transaction(self, transaction: str) -> str:
        if self.refuses:
            return ""
        return base64.b64encode(signed_by(self.pair, base64.b64decode(transaction))).decode()

    def _send_transaction(self, transaction: str, chain: str) -> str:
        assert self._send is not None, "it can send"
        self.sent_to.append(chain)
        signed = self._sign_transaction(transaction)
        if not signed:
            return ""
        self._send(signed)
        signatures = VersionedTransaction.from_bytes(base64.b64decode(signed)).signatures
        return base64.b64encode(bytes(signatures[0])).decode()
