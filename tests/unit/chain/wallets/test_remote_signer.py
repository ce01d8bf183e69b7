import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from solders.keypair import Keypair

from chain.signing import SignerRefused, SignerUnavailable
from chain.wallets.remote_signer import RemoteSigner

PAIR = Keypair()
Answer = Callable[[dict[str, str], str], Awaitable[tuple[int, bytes]]]


@asynccontextmanager
async def signer_answering(answer: Answer, deadline_s: float = 5.0) -> AsyncIterator[RemoteSigner]:
    """A signer on a real socket; ``answer`` gets the body and the token."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        token = head.split("authorization: bearer ")[1].split("\r\n")[0] if "authorization" in head else ""
        status, body = await answer(json.loads(await reader.readexactly(length)), token)
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield RemoteSigner(f"http://127.0.0.1:{port}/sign", PAIR.pubkey(), "token-1", deadline_s)


async def test_the_signer_gets_address_message_and_token_and_its_signature_is_returned():
    async def answer(body: dict[str, str], token: str) -> tuple[int, bytes]:
        assert (body["address"], token) == (str(PAIR.pubkey()), "token-1")
        signature = PAIR.sign_message(base64.b64decode(body["message"]))
        return 200, json.dumps({"signature": str(signature)}).encode()

    async with signer_answering(answer) as signer:
        assert (await signer.sign(b"message")).verify(PAIR.pubkey(), b"message")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"{}"), (200, b"nonsense"), (200, b'{"signature": 7}'), (200, b'{"signature": "x"}'),
        (200, json.dumps({"signature": str(Keypair().sign_message(b"message"))}).encode()),
        (200, json.dumps({"signature": str(PAIR.sign_message(b"another"))}).encode()),
        (200, b'"' + b"x" * 5_000 + b'"'), (500, b""), (302, b""), (401, b""), (429, b""),
    ],
)  # fmt: skip
async def test_everything_but_the_right_signature_is_no_answer(status: int, body: bytes):
    async def answer(_body: dict[str, str], _token: str) -> tuple[int, bytes]:
        return status, body

    async with signer_answering(answer) as signer:
        with pytest.raises(SignerUnavailable):
            await signer.sign(b"message")


async def test_a_refusal_of_the_policy_is_told_apart():
    async def answer(_body: dict[str, str], _token: str) -> tuple[int, bytes]:
        return 403, b""

    async with signer_answering(answer) as signer:
        with pytest.raises(SignerRefused):
            await signer.sign(b"message")


async def test_a_silent_or_absent_signer_ends_within_the_deadline():
    released = asyncio.Event()

    async def answer(_body: dict[str, str], _token: str) -> tuple[int, bytes]:
        await released.wait()
        return 500, b""

    async with signer_answering(answer, deadline_s=0.05) as signer:
        with pytest.raises(SignerUnavailable):
            await signer.sign(b"message")
        released.set()
    with pytest.raises(SignerUnavailable):
        await signer.sign(b"message")
