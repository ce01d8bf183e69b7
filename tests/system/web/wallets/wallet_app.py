"""A wallet app of an Android phone: it speaks the Mobile Wallet Adapter protocol, and signs with a keypair of the test.

A page opens it by navigating to a URI, at which the app starts a server. The two agree on a key, and speak JSON-RPC.
"""

import base64
import json
import os
import secrets
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from browsers import Person
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from solders.keypair import Keypair
from wallet_standard import signed_by
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

# Chrome on a phone, whose wallets are apps.
PHONE: dict[str, Any] = {
    "user_agent": "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/156.0.0.0 Mobile Safari/537.36",
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
}
PROTOCOL = Subprotocol("com.solana.mobilewalletadapter.v1")
CURVE = ec.SECP256R1()
POINT_BYTES = 65
AUTHORIZATION_FAILED, NOT_SIGNED, NO_METHOD = -1, -3, -32601
# What Android does with the URI: it brings the app to the front.
_ANDROID = """
navigation.addEventListener('navigate', event => {
  if (!event.destination.url.startsWith('solana-wallet:')) return
  // Chromium on a computer would ask for a program, in a dialog that takes the clicks of the page.
  event.preventDefault()
  window.openWalletApp(event.destination.url)
  window.dispatchEvent(new Event('blur'))
})
"""


class Refused(Exception):
    """The answer is an error with this code."""


class Sealed:
    """The encryption of one session. Each side numbers its messages from 1."""

    def __init__(self, key: bytes) -> None:
        self._cipher, self._sent, self._received = AESGCM(key), 0, 0

    def seal(self, message: object) -> bytes:
        self._sent += 1
        sequence, iv = self._sent.to_bytes(4, "big"), os.urandom(12)
        return sequence + iv + self._cipher.encrypt(iv, json.dumps(message).encode(), sequence)

    def open(self, message: bytes) -> Any:
        self._received += 1
        sequence, iv = message[:4], message[4:16]
        assert int.from_bytes(sequence, "big") == self._received, "the messages are in order"
        return json.loads(self._cipher.decrypt(iv, message[16:], sequence))


class WalletApp:
    """On the phone of this person, for all pages that they open from now on."""

    def __init__(self, one: Person, signs_in: bool = True) -> None:
        self.pair = Keypair()
        # Whether its user refuses to sign; whether it ends the session instead of an answer.
        self.refuses, self.hangs_up = False, False
        # The methods that it was asked for, by session.
        self.sessions: list[list[str]] = []
        self.identities: list[dict[str, str]] = []
        self.faults: list[str] = []
        self._signs_in = signs_in
        self._tokens: set[str] = set()
        one.page.expose_function("openWalletApp", self._open)
        one.context.add_init_script(_ANDROID)

    @property
    def address(self) -> str:
        return str(self.pair.pubkey())

    @property
    def _account(self) -> str:
        return base64.b64encode(bytes(self.pair.pubkey())).decode()

    def _open(self, uri: str) -> None:
        url = urlsplit(uri)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert (url.path, query["v"]) == ("/v1/associate/local", "v1"), uri
        token = base64.urlsafe_b64decode(query["association"] + "=" * (-len(query["association"]) % 4))

        def talk(socket: ServerConnection) -> None:
            try:
                self._talk(token, socket)
            except ConnectionClosed:
                pass
            except Exception as fault:
                self.faults.append(repr(fault))
                raise
            finally:
                # An association is for one connection.
                server.shutdown()

        server: Server = serve(talk, "127.0.0.1", int(query["port"]), subprotocols=[PROTOCOL])
        Thread(target=server.serve_forever, daemon=True).start()

    def _talk(self, token: bytes, socket: ServerConnection) -> None:
        assert socket.request is not None
        assert socket.request.path == "/solana-wallet"
        sealed = self._agreed(token, socket)
        asked: list[str] = []
        self.sessions.append(asked)
        authorised = False
        for message in socket:
            assert isinstance(message, bytes)
            request = sealed.open(message)
            method = request["method"]
            asked.append(method)
            if self.hangs_up:
                return
            try:
                if method != "authorize" and not authorised:
                    raise Refused(AUTHORIZATION_FAILED)
                result = {"result": self._answer(method, request["params"])}
                authorised = True
            except Refused as refusal:
                result = {"error": {"code": refusal.args[0], "message": "the user has refused"}}
            socket.send(sealed.seal({"jsonrpc": "2.0", "id": request["id"], **result}))

    def _agreed(self, token: bytes, socket: ServerConnection) -> Sealed:
        """HELLO_REQ and HELLO_RSP: only who has the key of the association gets a session."""
        hello = socket.recv()
        assert isinstance(hello, bytes)
        point, signature = hello[:POINT_BYTES], hello[POINT_BYTES:]
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        association = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, token)
        association.verify(encode_dss_signature(r, s), point, ec.ECDSA(SHA256()))
        own = ec.generate_private_key(CURVE)
        secret = own.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, point))
        sealed = Sealed(HKDF(SHA256(), 16, salt=token, info=b"").derive(secret))
        public = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        socket.send(public + sealed.seal({"v": "1"}))
        return sealed

    def _answer(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        match method:
            case "authorize":
                return self._authorise(params)
            case "sign_messages":
                [message] = (base64.b64decode(one) for one in params["payloads"])
                return {"signed_payloads": [_text(message + self._signature(message))]}
            case "sign_transactions":
                if self.refuses:
                    raise Refused(NOT_SIGNED)
                signed = [signed_by(self.pair, base64.b64decode(one)) for one in params["payloads"]]
                return {"signed_payloads": [_text(one) for one in signed]}
        raise Refused(NO_METHOD)

    def _authorise(self, params: dict[str, Any]) -> dict[str, Any]:
        known = params.get("auth_token")
        # A known app comes back without a question.
        if known not in self._tokens if known is not None else self.refuses:
            raise Refused(AUTHORIZATION_FAILED)
        self.identities.append(params["identity"])
        self._tokens.add(token := secrets.token_hex(8))
        granted: dict[str, Any] = {"auth_token": token, "accounts": [{"address": self._account, "label": "Main"}]}
        if self._signs_in and (wanted := params.get("sign_in_payload")) is not None:
            message = _sign_in_text(wanted, self.address).encode()
            signature = _text(self._signature(message))
            granted["sign_in_result"] = {
                "address": self._account, "signed_message": _text(message), "signature": signature,
            }  # fmt: skip
        return granted

    def _signature(self, message: bytes) -> bytes:
        return bytes(self.pair.sign_message(message))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _sign_in_text(wanted: dict[str, str], address: str) -> str:
    names = {
        "uri": "URI", "version": "Version", "chainId": "Chain ID", "nonce": "Nonce", "issuedAt": "Issued At",
        "expirationTime": "Expiration Time",
    }  # fmt: skip
    lines = [f"{wanted['domain']} wants you to sign in with your Solana account:", address, "", wanted["statement"], ""]
    return "\n".join(lines + [f"{shown}: {wanted[name]}" for name, shown in names.items() if name in wanted])
