"""A signer that another machine runs, over HTTP(S).

``POST <url>`` with ``{"address": "<base58>", "message": "<base64>"}`` and ``Authorization: Bearer <token>`` is answered
with 200 and ``{"signature": "<base58>"}``, or with 403 where the signer's policy refuses the message. Everything else
counts as no answer. The signature is verified here, so a wrong one never leaves.
"""

import base64

import httpx
import msgspec
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain.signing import SignerRefused, SignerUnavailable

DEADLINE_S = 5.0
ANSWER_BYTES_MAX = 4_096


class _Answer(msgspec.Struct):
    signature: str


class RemoteSigner:
    """The key of ``address``, which the signer at ``url`` holds."""

    def __init__(self, url: str, address: Pubkey, token: str | None, deadline_s: float = DEADLINE_S) -> None:
        self._url = url
        self._address = address
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._deadline_s = deadline_s

    @property
    def address(self) -> Pubkey:
        return self._address

    async def sign(self, message: bytes) -> Signature:
        """The signature over these bytes. Raises SignerUnavailable, SignerRefused."""
        body = {"address": str(self._address), "message": base64.b64encode(message).decode()}
        try:
            async with httpx.AsyncClient(timeout=self._deadline_s, trust_env=False, follow_redirects=False) as client:
                response = await client.post(self._url, json=body, headers=self._headers)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self._unavailable(f"did not answer: {type(error).__name__}") from None
        if response.status_code == 403:
            raise SignerRefused(f"the signer of {self._address} refused the message")
        if response.status_code != 200 or len(response.content) > ANSWER_BYTES_MAX:
            raise self._unavailable(f"answered {response.status_code}")
        return self._verified(response.content, message)

    def _verified(self, content: bytes, message: bytes) -> Signature:
        try:
            signature = Signature.from_string(msgspec.json.decode(content, type=_Answer).signature)
            genuine = signature.verify(self._address, message)
        except (ValueError, msgspec.MsgspecError):
            genuine = False
        if not genuine:
            raise self._unavailable("gave a signature that is not right")
        return signature

    def _unavailable(self, what: str) -> SignerUnavailable:
        return SignerUnavailable(f"the signer of {self._address} {what}", self._address)

    def __repr__(self) -> str:
        return f"RemoteSigner({self._address})"
