"""Hostile requests on real sockets to the whole app: headers, paths, methods, tokens, names and texts of attackers."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest
import uvicorn
from structlog.testing import capture_logs

from domain.errors import ERRORS
from gateway.http.address_limit import AddressLimit
from gateway.http.connections import ConnectionLimits, Connections
from gateway.http.protocol import HttpProtocol
from tests.rest.rest_engine import PASSWORD, RestEngine, rest_engine
from tests.rest.test_rest_conformance import body_schema, described, example, filled, operations

INJECTIONS = [
    "' OR '1'='1", "'; DROP TABLE users; --", "\\'; SELECT pg_sleep(5); --", "$1", "%s%n%x", "${jndi:ldap://a/b}",
    "a\r\nSet-Cookie: a=b", 'x", "level": "critical', "\x1b[2J\x1b[1;31m", "{{7*7}}", "../../../etc/passwd",
    "\u2028forged\u2029line", "\u202egnp.exe", "<script>alert(1)</script>", "\ufeff", "A" * 3_000,
]  # fmt: skip


@asynccontextmanager
async def served(engine: RestEngine) -> AsyncIterator[int]:
    """The port of the app, under the gateway's own HTTP protocol."""
    connections = Connections(ConnectionLimits(), AddressLimit(1_000))
    config = uvicorn.Config(
        engine.app, http=partial(HttpProtocol, connections), log_config=None, lifespan="off", ws="none"
    )  # type: ignore[arg-type]  # fmt: skip
    server, listener = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    connections.start()
    try:
        yield listener.getsockname()[1]
    finally:
        await connections.stop()
        await server.shutdown(sockets=[listener])


async def answers(port: int, request: bytes) -> list[tuple[int, bytes, bytes]]:
    """All responses to these bytes, until the server closes or waits for more: status, head, body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    received = bytearray()
    with suppress(TimeoutError, ConnectionResetError):
        async with asyncio.timeout(10):
            while data := await reader.read(65_536):
                received += data
                if _complete(received):
                    break
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return _split(bytes(received))


def _complete(received: bytes | bytearray) -> bool:
    """Whether the last response is whole, and says that it is the last one."""
    found = _split(bytes(received))
    return bool(found) and b"connection: close" in found[-1][1].lower()


def _split(data: bytes) -> list[tuple[int, bytes, bytes]]:
    found = []
    while b"\r\n\r\n" in data:
        head, _, data = data.partition(b"\r\n\r\n")
        size = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        found.append((int(head.split()[1]), head, data[:size]))
        data = data[size:]
    return found


def get(path: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    return b"\r\n".join([method + b" " + path + b" HTTP/1.1", b"Host: a", b"Connection: close", *headers, b"", b""])


def post(*headers: bytes, body: bytes = b"{}") -> bytes:
    return b"\r\n".join([b"POST /api/v1/auth/login HTTP/1.1", b"Host: a", *headers, b"", b""]) + body


def refused(found: list[tuple[int, bytes, bytes]]) -> tuple[int, str]:
    """The only answer, a 4xx with a code of the catalogue."""
    ((status, _, body),) = found
    assert 400 <= status < 500
    code = json.loads(body)["code"]
    assert code in ERRORS
    return status, code


SMUGGLED = b"GET /api/v1/fees HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Length: 2", b"Content-Length: 40"), (b"Content-Length: 2, 40",),
        (b"Content-Length: 2", b"Transfer-Encoding: chunked"), (b"Transfer-Encoding: chunked", b"Content-Length: 2"),
        (b"Transfer-Encoding: chunked, identity",), (b"Transfer-Encoding: xchunked",),
        (b"Transfer-Encoding: identity, chunked, x",), (b"Content-Length: -2",), (b"Content-Length: +2",),
        (b"Content-Length: 0x2",), (b"Content-Length : 2",), (b"Content-Length: 2\x0b",),
        (b"X: a", b" Content-Length: 40"), (b"Content-Length: 99999999999999999999",),
    ],
)  # fmt: skip
async def test_a_request_of_two_lengths_is_refused_and_nothing_is_smuggled(
    engine: RestEngine, headers: tuple[bytes, ...]
):
    async with served(engine) as port:
        found = await answers(port, post(b"Content-Type: application/json", *headers, body=b"{}" + SMUGGLED))
    assert refused(found)[0] in (400, 413, 422), found


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX\x00Y: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n: empty\r\n\r\n", b"GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /healthz\x00 HTTP/1.1\r\nHost: a\r\n\r\n", b"get /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"G\xc3\x89T /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)  # fmt: skip
async def test_a_malformed_head_is_a_400_and_the_end(engine: RestEngine, head: bytes):
    async with served(engine) as port:
        assert refused(await answers(port, head + get(b"/healthz"))) == (400, "invalid_request")


async def test_a_folded_header_is_one_header_and_hides_no_request(engine: RestEngine):
    """RFC 9112, 5.2: a server may refuse it, or read the fold as a space."""
    async with served(engine) as port:
        found = await answers(port, get(b"/healthz", b"X: a", b" GET /api/v1/fees HTTP/1.1"))
    assert [(status, body) for status, _, body in found] in ([(200, b'{"status":"ok"}')], [(400, found[0][2])])


@pytest.mark.parametrize("count", [200, 20_000])
async def test_many_headers_and_long_cookies_are_a_431(engine: RestEngine, count: int):
    async with served(engine) as port:
        assert refused(await answers(port, get(b"/healthz", *[b"A: b"] * count))) == (431, "headers_too_large")
        cookie = b"Cookie: " + b"; ".join(b"a%d=%s" % (n, b"x" * 100) for n in range(10 * count))
        assert refused(await answers(port, get(b"/healthz", cookie))) == (431, "headers_too_large")


async def test_cookies_are_nobody_s_token(engine: RestEngine):
    ann = await engine.person()
    async with served(engine) as port:
        for cookie in (
            f"access_token={ann.token}",
            f"Authorization=Bearer {ann.token}",
            "a=b; a=c; =; ;;",
            "\x7f=\xff",
        ):
            found = await answers(port, get(b"/api/v1/users/me", b"Cookie: " + cookie.encode("latin-1")))
            assert refused(found) in [(401, "unauthenticated"), (400, "invalid_request")]


@pytest.mark.parametrize(
    "path",
    [
        b"/api/v1/../v1/users/me", b"/api/v1/%2e%2e/v1/users/me", b"/api/v1/./users/me", b"//api/v1/users/me",
        b"/api/v1//users/me", b"/api/v1/users/me/", b"/api/v1/users/me%00", b"/api/v1/users/me%2f",
        b"/api/v1/users/%2e%2e/me", b"/api/v1/users/me;admin=1", b"/API/V1/users/me", b"/api/v1/users/me%0d%0aX:a",
        b"/api/v1/content/../../../etc/passwd", b"/api/v1/content/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        b"/media/..%2f..%2fsecrets%2fjwt", b"/docs/..%5c..%5csecrets", b"/%c0%ae%c0%ae/etc/passwd",
        b"/%ff%fe", b"/" + b"a" * 6_000, b"/" + b"%41" * 2_000, b"http://evil.example/api/v1/nowhere", b"*",
        b"/api/v1/users/me?" + b"a=b&" * 1_500,
    ],
)  # fmt: skip
async def test_tricks_with_paths_reach_nothing(engine: RestEngine, path: bytes):
    async with served(engine) as port:
        found = await answers(port, get(path))
    status, _ = refused(found)
    assert status in (400, 401, 404, 405, 422, 431)
    assert b"root:" not in found[0][2]


@pytest.mark.parametrize(
    "method", [b"TRACE", b"TRACK", b"CONNECT", b"PROPFIND", b"DELETE", b"PUT", b"OPTIONS", b"Post"]
)
async def test_other_methods_are_refused(engine: RestEngine, method: bytes):
    async with served(engine) as port:
        assert refused(await answers(port, get(b"/api/v1/fees", method=method)))[0] in (400, 405)


async def test_no_header_overrides_method_path_or_address(engine: RestEngine):
    ann = await engine.person()
    overriding = [
        b"X-HTTP-Method-Override: DELETE", b"X-HTTP-Method: PUT", b"X-Method-Override: POST",
        b"X-Original-URL: /api/v1/admin/audit", b"X-Rewrite-URL: /api/v1/admin/audit", b"X-Forwarded-Prefix: /admin",
        b"X-Forwarded-Host: evil.example", b"Forwarded: host=evil.example", b"X-Forwarded-For: 127.0.0.1",
    ]  # fmt: skip
    authorization = b"Authorization: Bearer " + ann.token.encode()
    async with served(engine) as port:
        ((status, head, body),) = await answers(port, get(b"/api/v1/users/me", authorization, *overriding))
    assert (status, json.loads(body)["username"]) == (200, ann.name)
    assert b"evil" not in head + body


@pytest.mark.parametrize(
    "text", ["Bearer", "Bearer ", "Basic YTpi", "bearer a b", "Bearer " + "A" * 5_000, "Bearer ..", "Bearer é"]
)
async def test_tokens_of_other_forms_are_unauthenticated(engine: RestEngine, text: str):
    async with served(engine) as port:
        found = await answers(port, get(b"/api/v1/users/me", b"Authorization: " + text.encode()))
    assert refused(found) == (401, "unauthenticated")


async def test_two_tokens_are_not_one(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    both = [b"Authorization: Bearer " + one.token.encode() for one in (ann, bob)]
    async with served(engine) as port:
        ((status, _, body),) = await answers(port, get(b"/api/v1/users/me", *both))
    assert status in (400, 401) or json.loads(body)["username"] == ann.name


# -- texts


async def test_names_that_are_no_names_are_refused(engine: RestEngine):
    names = [
        "\u0430nn", "ann\u200b", "\uff41nn", "a\u0308nn", "ann ", "an", "a" * 31, "ann\n", "ann\x00", "-" * 31,
        "a" * 1_000_000, "\u202eann", "ann@example.org", "", "\U0001f600\U0001f600\U0001f600",
    ]  # fmt: skip
    for number, name in enumerate(names):
        body = {"email": f"n{number}@example.org", "username": name, "password": PASSWORD}
        answer = await engine.request("POST", "/auth/register", json=body)
        assert (answer.status_code, answer.json()["code"]) in [
            (422, "invalid_request"), (413, "request_too_large"),
        ], ascii(name[:40])  # fmt: skip


async def test_ten_megabytes_of_a_name_are_a_413(engine: RestEngine):
    body = {"email": "large@example.org", "username": "a" * 10_000_000, "password": PASSWORD}
    answer = await engine.request("POST", "/auth/register", json=body)
    assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")


async def test_display_names_in_letters_of_other_scripts_do_not_imitate_the_house(engine: RestEngine):
    ann = await engine.person()
    for name in ("\u0430dmin", "Supp\u043ert", "\uff21\uff44\uff4d\uff49\uff4e", "\u00c1dmin"):
        answer = await engine.request("PATCH", "/users/me/profile", token=ann.token, json={"display_name": name})
        assert answer.status_code == 422, name
    fine = await engine.request(
        "PATCH", "/users/me/profile", token=ann.token, json={"display_name": "\u0410\u043d\u043d\u0430"}
    )
    assert fine.status_code == 200, fine.text


@pytest.mark.timeout(180)
async def test_injections_into_every_text_of_every_body_are_data_or_a_4xx(database_url: str):
    async with rest_engine(database_url) as engine:
        someone = await engine.person(role="operator")
        document = await described(engine)
        users_before = await engine.pool.fetchval("SELECT count(*) FROM users")
        count = 0
        for method, path, operation in operations(document):
            schema = body_schema(operation)
            for text in INJECTIONS if schema is not None else ():
                count += 1
                body: Any = example(document, schema or {}, text)
                answer = await engine.request(
                    method.upper(), filled(path, operation), token=someone.token, key=f"inject{count}",
                    content=json.dumps(body), headers={"Content-Type": "application/json", "X-Request-ID": "r1"},
                )  # fmt: skip
                assert answer.status_code < 500, f"{method} {path} {text!r}: {answer.text}"
                if answer.status_code >= 400:
                    assert answer.json()["code"] in ERRORS
                    assert len(answer.content) < 4_000
                assert "set-cookie" not in answer.headers
        assert count > 500
        assert await engine.pool.fetchval("SELECT count(*) FROM users") == users_before


async def test_injections_into_every_path_and_query_are_data_or_a_4xx(engine: RestEngine):
    someone = await engine.person(role="operator")
    for method, path, operation in operations(await described(engine)):
        if method != "get":
            continue
        for text in INJECTIONS[:-1]:
            quoted = "".join(f"%{byte:02X}" for byte in text.encode())
            values = {one["name"]: quoted for one in operation.get("parameters", []) if one["in"] == "path"}
            queries = "&".join(
                f"{one['name']}={quoted}" for one in operation.get("parameters", []) if one["in"] == "query"
            )
            answer = await engine.request("GET", f"{filled(path, operation, **values)}?{queries}", token=someone.token)
            assert answer.status_code < 500, f"{path} {text!r}: {answer.text}"
            if answer.status_code >= 400:
                assert answer.json()["code"] in ERRORS


async def test_no_header_gets_into_the_log_as_it_is(engine: RestEngine):
    with capture_logs() as logs:
        for text in ('r1"}\n{"level": "critical', "a" * 500, "\x1b[2J"):
            answer = await engine.http.get("/fees", headers={"X-Request-ID": text.encode()})  # type: ignore[dict-item]
            assert answer.headers["x-request-id"] != text
    assert not any("critical" in str(line) for line in logs)
