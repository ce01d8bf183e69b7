"""Money over REST: what one has, what happened to it, deposits, withdrawals; and everything that is no such request."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.ids import parse_id
from domain.ledger.chain import Entry, entry_hash, first_entry_hash
from domain.ledger.withdrawals import Limits as WithdrawalLimits
from gateway.rest.ledger.services import MoneyRules
from persistence.ledger.withdrawals import Withdrawal
from tests.rest.rest_engine import USD, Person, RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem

RULES = MoneyRules(True, 1_000 * USD, WithdrawalLimits(100 * USD, 150 * USD, 50 * USD, cool_down_ms=0))
OUT = {"currency": "USDC", "destination": "So11111111111111111111111111111111111111112"}


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[RestEngine]:
    async with rest_engine(database_url, rules=RULES) as engine:
        yield engine


async def balance_of(person: Person) -> tuple[int, int, int]:
    (usdc,) = (await person.get("/ledger/balance")).json()["balances"]
    assert (usdc["currency"], usdc["decimals"]) == ("USDC", 6)
    return usdc["posted"], usdc["pending"], usdc["available"]


async def with_funds(engine: RestEngine, amount: int) -> Person:
    person = await engine.person()
    answer = await person.post("/ledger/deposits", {"amount": amount, "currency": "USDC"})
    assert answer.status_code == 201, answer.text
    return person


async def test_a_new_user_has_nothing_and_no_entries(engine: RestEngine):
    ann = await engine.person()
    assert await balance_of(ann) == (0, 0, 0)
    assert (await ann.get("/ledger/entries")).json() == {"items": [], "next_cursor": None}


async def test_the_faucet_gives_money_once_for_a_key_and_says_what_it_is(engine: RestEngine):
    ann = await engine.person()
    body = {"amount": 5 * USD, "currency": "USDC"}
    answers = [await ann.post("/ledger/deposits", body, key="once") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    given = answers[0].json()
    assert (given["state"], given["source"], given["amount"]) == ("posted", "faucet", 5 * USD)
    assert "faucet" in given["notice"]
    assert await balance_of(ann) == (5 * USD, 0, 5 * USD)
    problem(await ann.post("/ledger/deposits", {**body, "amount": 6 * USD}, key="once"), 422, "key_reused")


async def test_a_deposit_whose_answer_was_never_stored_is_not_given_twice(engine: RestEngine):
    ann = await engine.person()
    body = {"amount": 5 * USD, "currency": "USDC"}
    await ann.post("/ledger/deposits", body, key="once")
    pool = engine.services.idempotency._pool
    await pool.execute(
        "UPDATE idempotency_keys SET status = NULL, response = NULL, running_until = 0 WHERE key = 'once'"
    )
    assert (await ann.post("/ledger/deposits", body, key="once")).status_code == 201
    assert await balance_of(ann) == (5 * USD, 0, 5 * USD)


async def test_without_a_faucet_nothing_is_given(database_url: str):
    async with rest_engine(database_url, rules=MoneyRules()) as engine:
        ann = await engine.person()
        problem(await ann.post("/ledger/deposits", {"amount": 1, "currency": "USDC"}), 403, "faucet_off")


async def test_the_faucet_gives_only_so_much(engine: RestEngine):
    ann = await engine.person()
    answer = await ann.post("/ledger/deposits", {"amount": 1_000 * USD + 1, "currency": "USDC"})
    assert problem(answer, 422, "deposit_too_large")["maximum"] == 1_000 * USD


WRONG_AMOUNTS: list[Any] = [0, -1, 1.0, 1.5, 1e6, "1", "x", None, True, [], {}, 2**53, 2**63, 10**40]


@pytest.mark.parametrize("path", ["deposits", "withdrawals"])
@pytest.mark.parametrize("amount", WRONG_AMOUNTS, ids=repr)
async def test_what_is_no_amount_moves_nothing(engine: RestEngine, path: str, amount: Any):
    ann = await with_funds(engine, 5 * USD)
    body = {"amount": amount, "currency": "USDC"} | (OUT if path == "withdrawals" else {})
    refused = problem(await ann.post(f"/ledger/{path}", body), 422, "invalid_request")
    assert refused["errors"][0]["at"] == "body/amount"
    assert await balance_of(ann) == (5 * USD, 0, 5 * USD)


@pytest.mark.parametrize("path", ["deposits", "withdrawals"])
async def test_other_mistakes_are_named(engine: RestEngine, path: str):
    ann = await with_funds(engine, 5 * USD)
    good = {"amount": USD, "currency": "USDC"} | (OUT if path == "withdrawals" else {})
    refused = problem(await ann.post(f"/ledger/{path}", good | {"currency": "DOGE"}), 422, "unknown_currency")
    assert refused["currencies"] == ["USDC"]
    problem(await ann.post(f"/ledger/{path}", good | {"currency": "usdc"}), 422, "unknown_currency")
    problem(await ann.post(f"/ledger/{path}", good | {"currency": 1}), 422, "invalid_request")
    problem(await ann.post(f"/ledger/{path}", good | {"to": "me"}), 422, "invalid_request")
    problem(await engine.request("POST", f"/ledger/{path}", json=good, token=ann.token), 400, "idempotency_key_missing")
    problem(await engine.request("POST", f"/ledger/{path}", json=good, key="k"), 401, "unauthenticated")
    assert await balance_of(ann) == (5 * USD, 0, 5 * USD)


async def test_a_withdrawal_holds_its_amount_and_waits_honestly(engine: RestEngine):
    ann = await with_funds(engine, 60 * USD)
    answer = await ann.post("/ledger/withdrawals", OUT | {"amount": 50 * USD}, key="once")
    made = answer.json()
    assert (answer.status_code, made["state"], made["chain"]) == (201, "waiting_for_chain", None)
    assert await balance_of(ann) == (60 * USD, 50 * USD, 10 * USD)
    again = await ann.post("/ledger/withdrawals", OUT | {"amount": 50 * USD}, key="once")
    assert again.json() == made
    problem(await ann.post("/ledger/withdrawals", OUT | {"amount": 49 * USD}, key="once"), 422, "key_reused")
    assert (await ann.get(f"/ledger/withdrawals/{made['id']}")).json() == made
    assert (await ann.get("/ledger/withdrawals")).json() == {"items": [made], "next_cursor": None}
    cancelled = (await ann.post(f"/ledger/withdrawals/{made['id']}/cancel")).json()
    assert cancelled["state"] == "cancelled"
    assert await balance_of(ann) == (60 * USD, 0, 60 * USD)
    problem(await ann.post("/ledger/withdrawals", OUT | {"amount": 61 * USD}), 409, "insufficient_funds")


async def test_a_withdrawal_over_the_balance_says_what_there_is(engine: RestEngine):
    ann = await with_funds(engine, 5 * USD)
    refused = problem(await ann.post("/ledger/withdrawals", OUT | {"amount": 6 * USD}), 409, "insufficient_funds")
    assert (refused["available"], refused["required"]) == (5 * USD, 6 * USD)
    assert (await ann.get("/ledger/withdrawals")).json()["items"] == []


async def test_a_large_withdrawal_needs_an_operator(engine: RestEngine):
    ann, operator = await with_funds(engine, 200 * USD), await engine.person(role="admin")
    made = (await ann.post("/ledger/withdrawals", OUT | {"amount": 51 * USD})).json()
    assert made["state"] == "requested"
    problem(await ann.post(f"/admin/withdrawals/{made['id']}/approve"), 403, "forbidden")
    (listed,) = [
        item for item in (await operator.get("/admin/withdrawals")).json()["items"] if item["id"] == made["id"]
    ]
    assert listed["user"] == ann.id
    approved = (await operator.post(f"/admin/withdrawals/{made['id']}/approve")).json()
    assert (approved["state"], approved["user"]) == ("waiting_for_chain", ann.id)
    assert await balance_of(ann) == (200 * USD, 51 * USD, 149 * USD)
    rejected = (await operator.post(f"/admin/withdrawals/{made['id']}/reject", {"reason": "not yours"})).json()
    assert (rejected["state"], rejected["reason"]) == ("rejected", "not yours")
    assert await balance_of(ann) == (200 * USD, 0, 200 * USD)
    problem(await operator.post(f"/admin/withdrawals/{made['id']}/approve"), 409, "withdrawal_decided")
    problem(await ann.post(f"/ledger/withdrawals/{made['id']}/cancel"), 409, "withdrawal_decided")


async def test_operators_do_not_decide_on_their_own(engine: RestEngine):
    operator = await engine.person(role="admin")
    await operator.post("/ledger/deposits", {"amount": 90 * USD, "currency": "USDC"})
    made = (await operator.post("/ledger/withdrawals", OUT | {"amount": 60 * USD})).json()
    problem(await operator.post(f"/admin/withdrawals/{made['id']}/approve"), 403, "forbidden")


async def test_others_withdrawals_are_nobodys_business(engine: RestEngine):
    ann, bob = await with_funds(engine, 9 * USD), await engine.person()
    made = (await ann.post("/ledger/withdrawals", OUT | {"amount": USD})).json()
    problem(await bob.get(f"/ledger/withdrawals/{made['id']}"), 404, "not_found")
    problem(await bob.post(f"/ledger/withdrawals/{made['id']}/cancel"), 404, "not_found")
    problem(await bob.get("/ledger/withdrawals/nonsense"), 404, "not_found")
    assert await balance_of(ann) == (9 * USD, USD, 8 * USD)


async def test_the_limits_hold_also_when_many_ask_at_once(engine: RestEngine):
    ann = await with_funds(engine, 1_000 * USD)
    too_large = problem(await ann.post("/ledger/withdrawals", OUT | {"amount": 101 * USD}), 409, "withdrawal_too_large")
    assert too_large["maximum"] == 100 * USD
    answers = await asyncio.gather(*(ann.post("/ledger/withdrawals", OUT | {"amount": 40 * USD}) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 3
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert problem(refused, 409, "daily_limit_reached")["maximum"] == 30 * USD
    assert await balance_of(ann) == (1_000 * USD, 120 * USD, 880 * USD)


async def test_two_withdrawals_have_some_time_between_them(database_url: str):
    async with rest_engine(database_url, rules=MoneyRules(faucet=True)) as engine:
        ann = await with_funds(engine, 9 * USD)
        assert (await ann.post("/ledger/withdrawals", OUT | {"amount": USD})).status_code == 201
        answer = await ann.post("/ledger/withdrawals", OUT | {"amount": USD})
        assert 0 < problem(answer, 429, "cooling_down")["retry_after_ms"] <= 60_000
        assert 0 < int(answer.headers["retry-after"]) <= 60


async def test_who_pays_out_sees_what_waits_and_is_named(engine: RestEngine):
    class Chain:
        chain: str | None = "solana"

        def __init__(self) -> None:
            self.taken: list[Withdrawal] = []

        async def take(self, withdrawal: Withdrawal) -> None:
            self.taken.append(withdrawal)

    chain = Chain()
    object.__setattr__(engine.services.money, "payouts", chain)
    ann = await with_funds(engine, 100 * USD)
    made = (await ann.post("/ledger/withdrawals", OUT | {"amount": USD})).json()
    requested = (await ann.post("/ledger/withdrawals", OUT | {"amount": 51 * USD})).json()
    assert (made["chain"], requested["state"]) == ("solana", "requested")
    assert [withdrawal.id for withdrawal in chain.taken] == [parse_id(made["id"])]


async def many_entries(engine: RestEngine) -> Person:
    ann = await with_funds(engine, 100 * USD)
    for amount in (1, 2, 3):
        made = (await ann.post("/ledger/withdrawals", OUT | {"amount": amount * USD})).json()
    await ann.post(f"/ledger/withdrawals/{made['id']}/cancel")
    return ann


async def test_entries_come_in_pages_newest_first_and_can_be_filtered(engine: RestEngine):
    ann = await many_entries(engine)
    every = (await ann.get("/ledger/entries")).json()["items"]
    assert [(item["seq"], item["action"], item["amount"], item["posted"], item["pending"]) for item in every] == [
        (5, "void", 0, 100 * USD, 3 * USD), (4, "pend", 0, 100 * USD, 6 * USD), (3, "pend", 0, 100 * USD, 3 * USD),
        (2, "pend", 0, 100 * USD, USD), (1, "transfer", 100 * USD, 100 * USD, 0),
    ]  # fmt: skip
    assert every[0]["ends"] == every[1]["transfer"]
    paged, cursor = [], ""
    while cursor is not None:
        page = (await ann.get(f"/ledger/entries?limit=2{cursor and '&cursor=' + cursor}")).json()
        paged += page["items"]
        cursor = page["next_cursor"]
    assert paged == every
    deposits = (await ann.get("/ledger/entries?kind=deposit&currency=USDC")).json()["items"]
    assert deposits == every[4:]
    since = every[3]["at"]
    later = (await ann.get(f"/ledger/entries?since={since}")).json()["items"]
    assert later == [item for item in every if item["at"] >= since]
    earlier = (await ann.get(f"/ledger/entries?until={since}")).json()["items"]
    assert later + earlier == every


async def test_anyone_can_check_their_entries_against_their_hashes(engine: RestEngine):
    ann = await many_entries(engine)
    items = (await ann.get("/ledger/entries")).json()["items"]
    account = parse_id(items[0]["account"])
    hash_ = first_entry_hash(account)
    for item in reversed(items):
        entry = Entry(
            item["action"], bytes.fromhex(item["transfer"]), bytes.fromhex(item["ends"]) if item["ends"] else None,
            item["kind"], parse_id(item["about"]) if item["about"] else None, item["at"], item["expires_at"],
            item["size"], account, item["seq"], item["posted"], item["pending"],
        )  # fmt: skip
        hash_ = entry_hash(hash_, entry)
        assert item["hash"] == hash_.hex()


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [("currency=DOGE", 422, "unknown_currency"), ("limit=0", 422, "invalid_request"),
     ("limit=101", 422, "invalid_request"),
     ("since=-1", 422, "invalid_request"), ("since=x", 422, "invalid_request"), ("kind=A%27", 422, "invalid_request"),
     ("cursor=nonsense", 400, "invalid_cursor"), ("until=99999999999999999", 422, "invalid_request")],
)  # fmt: skip
async def test_a_list_that_can_not_be_is_refused(engine: RestEngine, query: str, status: int, code: str):
    problem(await (await engine.person()).get(f"/ledger/entries?{query}"), status, code)


async def test_cursors_are_their_owners_own(engine: RestEngine):
    ann, bob = await many_entries(engine), await many_entries(engine)
    cursor = (await ann.get("/ledger/entries?limit=2")).json()["next_cursor"]
    problem(await bob.get(f"/ledger/entries?limit=2&cursor={cursor}"), 400, "invalid_cursor")


async def test_the_statement_is_csv_in_whole_units(engine: RestEngine):
    ann = await many_entries(engine)
    answer = await ann.get("/ledger/statement")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="statement-USDC.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["kind"], row["amount"], row["balance"], row["pending"], row["currency"]) for row in rows] == [
        ("withdrawal", "0.000000", "100.000000", "3.000000", "USDC"),
        ("withdrawal", "0.000000", "100.000000", "6.000000", "USDC"),
        ("withdrawal", "0.000000", "100.000000", "3.000000", "USDC"),
        ("withdrawal", "0.000000", "100.000000", "1.000000", "USDC"),
        ("deposit", "100.000000", "100.000000", "0.000000", "USDC"),
    ]
    only_later = await ann.get(f"/ledger/statement?since={int(rows[0]['at']) + 1}")
    assert only_later.text == "seq,at,action,kind,about,amount,balance,pending,currency,transfer,hash\r\n"


async def test_a_statement_has_a_bound_that_is_said(engine: RestEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.rest.ledger.routes.STATEMENT_ROWS_MAX", 4)
    ann = await many_entries(engine)
    problem(await ann.get("/ledger/statement"), 422, "invalid_request")
