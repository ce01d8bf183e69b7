"""The gateway's protocols over TLS, with a self-signed certificate."""

import asyncio
import datetime
import socket
import ssl
from functools import partial
from pathlib import Path

import httpx
import pytest
import uvicorn
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from virtual_time import until

from gateway.http.address_limit import AddressLimit
from gateway.http.connections import ConnectionLimits, Connections
from gateway.http.middleware import Frontdoor
from gateway.http.protocol import TLS_CIPHERS, HttpProtocol
from gateway.websocket.protocol import SocketProtocol


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """(certificate, key) of localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    return files


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse((await request.body()).decode())


async def refuse(websocket: WebSocket) -> None:
    await websocket.send_denial_response(PlainTextResponse("no", 403))


async def is_accepted(port: int, certificate: Path, suites: str) -> bool:
    """Whether somebody who knows these suites of TLS 1.2 alone gets a connection."""
    offering = ssl.create_default_context(cafile=certificate)
    offering.maximum_version = ssl.TLSVersion.TLSv1_2
    offering.set_ciphers(suites)
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=offering, server_hostname="localhost")
    except OSError:
        return False
    writer.close()
    return True


async def test_https_and_wss_are_served_and_browsers_are_told_to_stay(certificate: tuple[Path, Path]):
    connections = Connections(ConnectionLimits(), AddressLimit(10))
    app = Frontdoor(
        Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"]), WebSocketRoute("/ws", refuse)]),
        requests_max=10, body_bytes_max=1_000_000, by_address=AddressLimit(10), registry=CollectorRegistry(),
        streamed={},
    )  # fmt: skip
    config = uvicorn.Config(
        app, http=partial(HttpProtocol, connections), ws=SocketProtocol, log_config=None, lifespan="off",
        ssl_certfile=certificate[0], ssl_keyfile=certificate[1], ssl_ciphers=TLS_CIPHERS, timeout_graceful_shutdown=1,
    )  # type: ignore[arg-type]  # fmt: skip
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    serving = asyncio.create_task(server.serve([listener]))
    await until(lambda: server.started)
    trusting = ssl.create_default_context(cafile=certificate[0])
    try:
        async with httpx.AsyncClient(verify=trusting) as http:
            large = "x" * 300_000
            said = await http.post(f"https://localhost:{port}/", content=large)
            assert (said.status_code, said.text) == (200, large)
            assert said.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
            with pytest.raises(httpx.RemoteProtocolError):
                await http.get(f"http://localhost:{port}/")
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"wss://localhost:{port}/ws", ssl=trusting)
        assert refused.value.response.status_code == 403
        for suites, works in (("ECDHE-ECDSA-AES128-GCM-SHA256", True), ("ECDHE-ECDSA-AES128-SHA256", False)):
            assert await is_accepted(port, certificate[0], suites) is works
    finally:
        server.should_exit = True
        async with asyncio.timeout(10):
            await serving
