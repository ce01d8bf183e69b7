"""REST does what /openapi.json says of it: methods, tokens, keys, restrictions, and bodies that are read in one way."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from domain.errors import ERRORS
from gateway.http.middleware import HEALTH_PATHS
from gateway.rest.auctions.bodies import TIME_MAX_MS
from gateway.rest.limits import Limits
from tests.rest.rest_engine import USD, Person, RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem

ROOT = "http://ece"
SOME_ID = "0000000000000"
METHODS = ("get", "post", "put", "patch", "delete")
# What the database can't store, or is no text at all.
NOT_STORABLE = ("\0", "a\0b")


async def described(engine: RestEngine) -> dict[str, Any]:
    document: dict[str, Any] = (await engine.http.get(f"{ROOT}/openapi.json")).json()
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation) of all that is described."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def parameters(operation: dict[str, Any], place: str) -> list[dict[str, Any]]:
    return [one for one in operation.get("parameters", []) if one["in"] == place]


def filled(path: str, operation: dict[str, Any], **values: str) -> str:
    """The path with a value for each of its parameters."""
    for one in parameters(operation, "path"):
        value = values.get(one["name"], one["schema"].get("enum", [SOME_ID])[0])
        path = path.replace(f"{{{one['name']}}}", value)
    return f"{ROOT}{path}"


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    for choice in schema.get("anyOf", []):
        if choice.get("type") != "null":
            return resolved(document, choice)
    return schema


def example(document: dict[str, Any], schema: dict[str, Any], text: str) -> Any:
    """A body of this schema, with this text wherever one may stand."""
    schema = resolved(document, schema)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object" if "properties" in schema:
            return {name: example(document, its, text) for name, its in schema["properties"].items()}
        case "object":
            return {text: text}
        case "array":
            return [example(document, schema.get("items", {}), text)] * max(1, schema.get("minItems", 1))
        case "integer":
            return schema.get("minimum", 1)
        case "boolean":
            return True
    return text


async def operator(engine: RestEngine) -> Person:
    return await engine.person(role="admin")


def body_schema(operation: dict[str, Any]) -> dict[str, Any] | None:
    content = operation.get("requestBody", {}).get("content", {})
    return content.get("application/json", {}).get("schema")


# -- methods


async def test_head_is_answered_as_get_without_a_body(engine: RestEngine):
    ann = await operator(engine)
    document = await described(engine)
    gets = [(path, operation) for method, path, operation in operations(document) if method == "get"]
    assert len(gets) > 30
    extra = [f"{ROOT}{path}" for path in ("/docs", "/openapi.json", "/asyncapi.yaml", "/docs/ws", "/nowhere")]
    for url in [*(filled(path, operation) for path, operation in gets), *extra]:
        got, headed = await ann.get(url), await engine.request("HEAD", url, token=ann.token)
        assert (headed.status_code, headed.content) == (got.status_code, b""), url
        assert headed.headers["content-type"] == got.headers["content-type"], url
        if "retry-after" not in got.headers and "metrics" not in url and "readyz" not in url:
            assert headed.headers.get("etag") == got.headers.get("etag"), url


async def test_lists_are_compressed_for_those_who_ask(engine: RestEngine):
    ann = await engine.person()
    for _ in range(5):
        await ann.open_auction()
    for accepted, encoding in (("gzip, br", "gzip"), ("identity", None)):
        listed = await engine.request("GET", "/auctions", headers={"Accept-Encoding": accepted})
        assert (listed.headers.get("content-encoding"), listed.headers["vary"]) == (encoding, "Accept-Encoding")
        assert len(listed.json()["items"]) == 5
    small = await engine.request("GET", "/auctions?limit=1&status=ended", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers


async def test_on_a_real_connection_nothing_follows_the_head(engine: RestEngine):
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(engine.app, http="httptools", log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listening])
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}") as http:
            # Over the same connection: what came after a head would be read as the next answer.
            answers = [await http.request(method, "/healthz") for method in ("HEAD", "GET", "HEAD", "GET")]
    finally:
        await server.shutdown(sockets=[listening])
        listening.close()
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b""), (200, b'{"status":"ok"}')] * 2
    assert answers[0].headers["content-length"] == answers[1].headers["content-length"]


async def test_a_wrong_method_says_all_that_are_right(engine: RestEngine):
    document = await described(engine)
    for path, methods in document["paths"].items():
        right = {method.upper() for method in methods} | ({"HEAD"} if "get" in methods else set())
        for wrong in (method.upper() for method in METHODS if method not in methods):
            answer = await engine.request(wrong, filled(path, next(iter(methods.values()))))
            problem(answer, 405, "method_not_allowed")
            assert set(answer.headers["allow"].split(", ")) == right, path


# -- what is described


async def test_tokens_are_needed_where_that_is_described(engine: RestEngine):
    for method, path, operation in operations(await described(engine)):
        answer = await engine.request(method.upper(), filled(path, operation), key="k", json={})
        needed = bool(operation.get("security")) and {} not in operation["security"]
        unauthenticated = answer.status_code == 401
        assert unauthenticated == needed, f"{method} {path}: {answer.status_code}"


async def test_keys_are_needed_where_that_is_described(engine: RestEngine):
    someone = await operator(engine)
    document = await described(engine)
    needing = 0
    for method, path, operation in operations(document):
        schema = body_schema(operation)
        body = None if schema is None else example(document, schema, "some-text")
        answer = await engine.request(method.upper(), filled(path, operation), token=someone.token, json=body)
        described_so = [one["required"] for one in parameters(operation, "header") if one["name"] == "Idempotency-Key"]
        missing = answer.headers.get("content-type") == "application/problem+json" and (
            answer.json()["code"] == "idempotency_key_missing"
        )
        assert described_so == ([True] if missing else []), f"{method} {path}: {answer.text}"
        needing += missing
    assert needing > 20


@pytest.mark.parametrize("key", ["", "k" * 65, "with space", "ünicode".encode(), "tab\t"])
async def test_a_key_of_another_form_is_refused(engine: RestEngine, key: str | bytes):
    ann = await engine.person()
    headers: Any = {"Idempotency-Key": key}
    answer = await engine.request(
        "POST", "/ledger/deposits", token=ann.token, json={"amount": 5, "currency": "USDC"}, headers=headers
    )
    problem(answer, 400, "invalid_request")


async def test_all_that_can_be_answered_503_says_so(database_url: str):
    async with rest_engine(database_url, Limits(requests_max=0)) as engine:
        for method, path, operation in operations(engine.app.openapi()):
            answer = await engine.request(method.upper(), filled(path, operation))
            if path in HEALTH_PATHS:
                assert answer.status_code == 200
                continue
            problem(answer, 503, "overloaded")
            assert "503" in operation["responses"], f"{method} {path}"


async def test_restrictions_are_described(engine: RestEngine):
    restricting = {"cursor": "maxLength", "currency": "enum", "sort": "enum", "status": "enum", "limit": "maximum"}
    document, seen = await described(engine), set()
    for method, path, operation in operations(document):
        for one in parameters(operation, "query"):
            schema = resolved(document, one["schema"])
            if one["name"] == "trait":
                schema, wanted = schema["items"], "pattern"
            elif (wanted := restricting.get(one["name"], "")) == "":
                continue
            assert wanted in schema, f"{method} {path}: {one['name']}"
            seen.add(one["name"])
    assert seen == {*restricting, "trait"}


# -- text that can't be stored


@pytest.mark.parametrize("text", NOT_STORABLE)
async def test_text_that_can_not_be_stored_is_refused_in_every_path_and_query(engine: RestEngine, text: str):
    someone = await operator(engine)
    sent = text.replace("\0", "%00")
    for method, path, operation in operations(await described(engine)):
        names = dict.fromkeys((one["name"] for one in parameters(operation, "path")), sent)
        urls = [filled(path, operation, **names)] if names else []
        urls += [f"{filled(path, operation)}?{one['name']}={sent}" for one in parameters(operation, "query")]
        for url in urls:
            answer = await engine.request(method.upper(), url, token=someone.token, key=f"k{hash(url)}", json={})
            assert answer.status_code < 500, f"{method} {url}: {answer.text}"
            if answer.status_code >= 400:
                assert answer.json()["code"] in ERRORS


# The last one looks like an id, and is above the largest one.
@pytest.mark.parametrize("text", [*NOT_STORABLE, "\ud800", "v" * 13])
async def test_and_in_every_body(engine: RestEngine, text: str):
    someone = await operator(engine)
    document = await described(engine)
    count = 0
    for method, path, operation in operations(document):
        schema = body_schema(operation)
        if schema is None:
            continue
        whole = example(document, schema, text)
        bodies = [whole]
        if isinstance(whole, dict):
            good = example(document, schema, "some-text")
            bodies += [good | {name: value} for name, value in whole.items()]
        for body in bodies:
            count += 1
            answer = await engine.request(
                method.upper(), filled(path, operation), token=someone.token, key=f"b{count}-{ord(text[0])}",
                content=json.dumps(body), headers={"Content-Type": "application/json"},
            )  # fmt: skip
            assert answer.status_code < 500, f"{method} {path} {body}: {answer.text}"
    assert count > 40


async def test_somebody_whose_name_can_not_be_is_not_there(engine: RestEngine):
    problem(await engine.request("GET", "/users/%00/copies"), 422, "invalid_request")
    problem(await engine.request("GET", "/users/nobody-such/copies"), 404, "not_found")


async def test_a_key_whose_request_could_not_be_stored_is_free_again(engine: RestEngine):
    ann = await engine.person(role="admin")
    refused = await ann.post("/admin/users/%00/tier", {"tier": "standard"}, key="again")
    problem(refused, 422, "invalid_request")
    done = await ann.post(f"/admin/users/{ann.name}/tier", {"tier": "standard"}, key="again")
    assert done.status_code == 200


# -- a field twice


async def test_a_field_twice_is_refused_in_every_body(engine: RestEngine):
    someone = await operator(engine)
    count = 0
    for method, path, operation in operations(await described(engine)):
        if body_schema(operation) is None:
            continue
        count += 1
        for content in (b'{"amount": 5, "amount": 7}', b'{"a": {"b": 1, "\\u0062": 2}}', b'[{"a": 1, "a": 1}]'):
            answer = await engine.request(
                method.upper(), filled(path, operation), token=someone.token, key=f"twice{count}", content=content,
                headers={"Content-Type": "application/json"},
            )  # fmt: skip
            problem(answer, 400, "invalid_request")
            assert answer.json()["detail"] == "a field occurs twice", f"{method} {path}"
    assert count > 20


async def test_nothing_is_deposited_of_an_amount_that_is_said_twice(engine: RestEngine):
    ann = await engine.person()
    answer = await engine.request(
        "POST", "/ledger/deposits", token=ann.token, key="twice", headers={"Content-Type": "application/json"},
        content=b'{"amount":5,"currency":"USDC","amount":7}',
    )  # fmt: skip
    problem(answer, 400, "invalid_request")
    assert (await ann.get("/ledger/balance")).json()["balances"][0]["posted"] == 0
    done = await ann.post("/ledger/deposits", {"amount": 7, "currency": "USDC"}, key="twice")
    assert done.status_code == 201


# -- times


@pytest.mark.parametrize("ahead", [{"duration_ms": 1}, {"duration_ms": 366 * 24 * 3_600_000}])
async def test_no_auction_ends_later_than_the_api_can_say(engine: RestEngine, ahead: dict[str, int]):
    ann = await engine.person()
    body = {"title": "Charizard", "starting_price": USD, "starts_at": TIME_MAX_MS} | ahead
    refused = await ann.post("/auctions", body, key="late")
    problem(refused, 422, "invalid_request")
    last = body | {"starts_at": TIME_MAX_MS - ahead["duration_ms"]}
    listed = await ann.post("/auctions", last, key="late")
    assert (listed.status_code, listed.json()["ends_at"]) == (201, TIME_MAX_MS)


# -- refusals


async def test_a_withdrawal_that_is_not_covered_says_what_there_is(engine: RestEngine):
    ann = await engine.person()
    await ann.post("/ledger/deposits", {"amount": 5 * USD, "currency": "USDC"})
    answer = await ann.post("/ledger/withdrawals", {"amount": 6 * USD, "currency": "USDC", "destination": "there"})
    problem(answer, 409, "insufficient_funds")
    assert (answer.json()["available"], answer.json()["required"]) == (5 * USD, 6 * USD)


async def test_a_bid_that_is_not_covered_says_what_there_is(database_url: str):
    async with rest_engine(database_url, covered=True) as engine:
        ann, bob = await engine.person(), await engine.person()
        await bob.post("/ledger/deposits", {"amount": 5 * USD, "currency": "USDC"})
        auction = (await ann.open_auction())["id"]
        async with asyncio.timeout(10):
            answer = await bob.post(f"/auctions/{auction}/bids", {"amount": 6 * USD})
        problem(answer, 409, "insufficient_funds")
        assert {"available": 5 * USD, "required": 6 * USD}.items() <= answer.json().items()
        assert "server_time" in answer.json()
