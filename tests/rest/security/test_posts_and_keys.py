"""A POST that creates or moves something has its effect once by its key, also if it died before its answer."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair

from persistence.postgres.errors import StoreUnavailable
from tests.rest.rest_engine import USD, Person, RestEngine
from tests.rest.test_rest_conformance import described, operations, parameters
from tests.rest.test_rest_sales import new_card

PROTOCOL = (Path(__file__).parents[3] / "docs/protocol.md").read_text()
TABLE = PROTOCOL[PROTOCOL.index("### POSTs without a key") : PROTOCOL.index("### Problems")]
WITHOUT_KEY = dict(re.findall(r"^\| `(/[^`]+)` \| (.+) \|$", TABLE, re.MULTILINE))


async def test_the_posts_without_a_key_are_those_of_the_docs(engine: RestEngine):
    without = {
        path.removeprefix("/api/v1")
        for method, path, operation in operations(await described(engine))
        if method == "post" and "Idempotency-Key" not in {one["name"] for one in parameters(operation, "header")}
    }
    assert without == WITHOUT_KEY.keys()
    assert all(len(reason) > 10 for reason in WITHOUT_KEY.values())


# (path, body, the list that would have a second one)
CREATING: list[tuple[str, Any, str | None]] = [
    ("/ledger/deposits", {"amount": USD, "currency": "USDC"}, "/ledger/entries"),
    ("/auctions", {"title": "Once", "starting_price": USD, "duration_ms": 3_600_000}, "/auctions"),
    ("/ledger/withdrawals", {"amount": USD, "currency": "USDC", "destination": "somewhere"}, "/ledger/withdrawals"),
    ("/users/me/searches", {"name": "mine", "query": {"q": "dragon"}}, "/users/me/searches"),
    ("/users/me/trade-links", {}, "/users/me/trade-links"),
    ("/wallets/challenges", {"address": str(Keypair().pubkey())}, None),
]


async def _count(person: Person, path: str | None) -> int:
    return 0 if path is None else len((await person.get(path)).json()["items"])


@pytest.mark.parametrize(("path", "body", "listed"), CREATING, ids=[one[0] for one in CREATING])
async def test_a_post_that_died_before_its_answer_has_its_effect_once(
    engine: RestEngine, path: str, body: Any, listed: str | None
):
    ann = await engine.person()
    await ann.post("/ledger/deposits", {"amount": 10 * USD, "currency": "USDC"})
    before = await _count(ann, listed)
    first = await ann.post(path, body, key="once")
    assert first.status_code == 201, first.text
    died = "UPDATE idempotency_keys SET status = NULL, response = NULL, running_until = 0 WHERE key = 'once'"
    await engine.pool.execute(died)
    again = await ann.post(path, body, key="once")
    assert again.status_code == 201, again.text
    assert again.headers.get("idempotency-replayed") is None
    # What a deposit is of two entries is of two also afterwards: none was added by the second.
    after = await _count(ann, listed)
    await ann.post(path, body, key="once")
    assert await _count(ann, listed) == after
    if listed is not None:
        assert after - before == 1
        assert again.json() == first.json() or again.json()["id"] == first.json()["id"]


async def test_copies_are_made_once_whenever_the_request_dies(engine: RestEngine, monkeypatch: pytest.MonkeyPatch):
    """Nothing but the key tells the copies of one order from those of another."""
    operator, ann = await engine.person(role="admin"), await engine.person()
    card = await new_card(engine, operator)
    path, body = f"/admin/catalog/cards/{card}/copies", {"count": 2, "owner": ann.name}

    async def died(*_: object) -> None:
        raise StoreUnavailable("the process died here")

    with monkeypatch.context() as patch:
        # After the effect, before the answer.
        patch.setattr(engine.services.idempotency, "finish", died)
        first = await operator.post(path, body, key="once")
    again = await operator.post(path, body, key="once")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    with monkeypatch.context() as patch:
        # Before the end of its transaction.
        patch.setattr(engine.services.idempotency, "finish_within", died)
        assert (await operator.post(path, body, key="twice")).status_code == 503
    assert (await operator.post(path, body, key="twice")).status_code == 201
    assert len((await ann.get("/users/me/copies")).json()["items"]) == 4


async def test_of_two_requests_with_one_key_one_has_the_effect(engine: RestEngine):
    """The second took over because the first was slow; whoever is late is rolled back."""
    operator, ann = await engine.person(role="admin"), await engine.person()
    card = await new_card(engine, operator)
    path, body = f"/admin/catalog/cards/{card}/copies", {"count": 1, "owner": ann.name}
    begin, late = engine.services.idempotency.begin, asyncio.Event()

    async def take_over() -> None:
        await engine.pool.execute("UPDATE idempotency_keys SET running_until = 0 WHERE key = 'slow'")
        assert (await operator.post(path, body, key="slow")).status_code == 201
        late.set()

    async def slow_begin(*given: Any) -> Any:
        found = await begin(*given)
        if not late.is_set():
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(engine.services.idempotency, "begin", begin)
                await take_over()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.services.idempotency, "begin", slow_begin)
        slow = await operator.post(path, body, key="slow")
    assert (slow.status_code, slow.json()["code"]) == (409, "still_running")
    assert len((await ann.get("/users/me/copies")).json()["items"]) == 1
