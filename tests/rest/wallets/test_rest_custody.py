"""Withdrawals to the chain, deposits and cards over REST."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyotp
import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chain.rpc.errors import ChainUnavailable
from chain.wallets.destinations import Destinations
from domain.ids import id_text, parse_id
from gateway.rest.ledger.services import ChainPayouts
from persistence.sales.copies import NewCopies
from persistence.wallets.chain_jobs import add_chain_jobs
from persistence.wallets.deposits import Arrival, FollowedWallet, Read
from persistence.wallets.payouts import Payouts
from tests.rest.rest_engine import USD, USDC_MINT, Person, RestEngine
from tests.rest.test_rest_auctions import problem

TREASURY = Keypair.from_seed(bytes([7] * 32)).pubkey()
NOW = 1_800_000_000_000


class Chain:
    """Has no accounts; or does not answer."""

    down = False

    async def account(self, address: Pubkey) -> None:
        if self.down:
            raise ChainUnavailable("down")


class Custodial:
    async def users_of(self, addresses: Sequence[str]) -> Mapping[str, int]:
        return {}


@pytest.fixture
def chain(engine: RestEngine) -> Chain:
    """The engine has a chain from now on."""
    chain, services = Chain(), engine.services
    destinations = Destinations([TREASURY], [Pubkey.from_string(USDC_MINT)], Custodial(), chain)
    payouts = ChainPayouts(Payouts(engine.pool, add_chain_jobs))
    engine.app.state.services = replace(
        services,
        wallets=replace(services.wallets, destinations=destinations),
        money=replace(services.money, payouts=payouts),
    )
    return chain


async def funded(engine: RestEngine) -> Person:
    person = await engine.person()
    answer = await person.post("/ledger/deposits", {"amount": 50 * USD, "currency": "USDC"})
    assert answer.status_code == 201, answer.text
    return person


async def minted(engine: RestEngine, owner: Person) -> str:
    """A copy that the owner's custodial wallet holds on the chain."""
    address = (await owner.get("/wallets")).json()["custodial"]["address"]
    card = await engine.pool.fetchval(
        "WITH s AS (INSERT INTO card_sets (code, name) SELECT 's' || next_id(), 'Set' RETURNING set_id)"
        " INSERT INTO cards (set_id, number, name, rarity, creator_id, created_at, updated_at)"
        " SELECT set_id, '1', 'Card', 'rare', 1, 1, 1 FROM s RETURNING card_id"
    )
    made = await engine.services.sales.copies.make(NewCopies(card, 1, parse_id(owner.id)), NOW)
    assert isinstance(made, list)
    await engine.pool.execute(
        "WITH j AS (INSERT INTO chain_jobs (kind, key) VALUES ('mint', $1::bigint::text) RETURNING job_id)"
        " INSERT INTO assets (copy_id, standard, job_id, address, holder, holder_slot, state)"
        " SELECT $1, 'token-2022', job_id, 'asset ' || $1::text, $2, 10, 'minted' FROM j",
        made[0], address,
    )  # fmt: skip
    return id_text(made[0])


@pytest.mark.parametrize(
    ("destination", "reason"),
    [
        ("nonsense", "not_an_address"),
        ("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "program"),
        (USDC_MINT, "mint"),
        (str(TREASURY), "own"),
        (str(Pubkey.find_program_address([b"x"], TREASURY)[0]), "no_wallet"),
    ],
)
async def test_money_goes_to_wallets_only(engine: RestEngine, chain: Chain, destination: str, reason: str):
    ann = await funded(engine)
    body = {"amount": USD, "currency": "USDC", "destination": destination}
    assert problem(await ann.post("/ledger/withdrawals", body), 422, "invalid_address")["reason"] == reason
    assert (await ann.get("/ledger/withdrawals")).json()["items"] == []


async def test_an_approved_withdrawal_is_sent_at_once_and_cannot_be_cancelled_then(engine: RestEngine, chain: Chain):
    ann = await funded(engine)
    body = {"amount": USD, "currency": "USDC", "destination": str(Keypair().pubkey())}
    made = await ann.post("/ledger/withdrawals", body)
    assert (made.status_code, made.json()["chain"]) == (201, "solana")
    path = f"/ledger/withdrawals/{made.json()['id']}"
    assert (await ann.get(path)).json()["state"] == "sending"
    problem(await ann.post(f"{path}/cancel"), 409, "withdrawal_decided")
    key = await engine.pool.fetchval("SELECT key FROM chain_jobs WHERE kind = 'withdrawal' ORDER BY job_id DESC")
    assert key == made.json()["id"]


async def test_while_the_chain_does_not_answer_nothing_happens_and_the_same_key_does_it_later(
    engine: RestEngine, chain: Chain
):
    ann = await funded(engine)
    body = {"amount": USD, "currency": "USDC", "destination": str(Keypair().pubkey())}
    chain.down = True
    problem(await ann.post("/ledger/withdrawals", body, key="out"), 503, "unavailable")
    chain.down = False
    assert (await ann.post("/ledger/withdrawals", body, key="out")).status_code == 201
    assert len((await ann.get("/ledger/withdrawals")).json()["items"]) == 1


async def test_where_money_can_be_sent_is_shown_with_a_text_for_a_qr_code(engine: RestEngine):
    ann = await engine.person()
    custodial = (await ann.get("/wallets")).json()["custodial"]
    assert custodial["deposit_uri"] == f"solana:{custodial['address']}?spl-token={USDC_MINT}"
    assert custodial["token_account"] not in (None, custodial["address"])


async def test_deposits_are_listed_page_by_page(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    address = (await ann.get("/wallets")).json()["custodial"]["address"]
    wallet = FollowedWallet(parse_id(ann.id), address)
    arrivals = [Arrival(f"{ann.id} s{number}", "account", 10 + number, number) for number in range(3)]
    await engine.services.wallets.deposits.credit(wallet, arrivals, Read("s2"), "USDC", NOW)
    first = (await ann.get("/wallets/deposits?limit=2")).json()
    second = (await ann.get(f"/wallets/deposits?limit=2&cursor={first['next_cursor']}")).json()
    assert [item["amount"] for item in first["items"] + second["items"]] == [12, 11, 10]
    assert second["next_cursor"] is None
    assert (await bob.get("/wallets/deposits")).json()["items"] == []
    problem(await bob.get(f"/wallets/deposits?cursor={first['next_cursor']}"), 400, "invalid_cursor")


async def test_a_card_is_withdrawn_once_by_its_owner(engine: RestEngine, chain: Chain):
    ann, eve, outside = await engine.person(), await engine.person(), str(Keypair().pubkey())
    copy = await minted(engine, ann)
    path = f"/wallets/cards/{copy}/withdraw"
    problem(await eve.post(path, {"address": outside}), 403, "not_your_copy")
    problem(await ann.post(path, {"address": str(TREASURY)}), 422, "invalid_address")
    answers = [await ann.post(path, {"address": outside}, key="card") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    made = answers[0].json()
    assert answers[1].json() == made
    assert (made["copy"], made["address"], made["state"]) == (copy, outside, "sending")
    assert (await ann.get(f"/copies/{copy}")).json()["place"] == "withdrawn"
    problem(await ann.post(path, {"address": outside}), 409, "copy_not_free")
    assert (await ann.get("/wallets/cards/withdrawals")).json()["items"] == [made]
    assert (await eve.get("/wallets/cards/withdrawals")).json()["items"] == []


async def test_a_copy_that_is_not_on_the_chain_cannot_be_withdrawn(engine: RestEngine, chain: Chain):
    ann = await engine.person()
    copy = await minted(engine, ann)
    await engine.pool.execute("UPDATE assets SET state = 'minting' WHERE copy_id = $1", parse_id(copy))
    body = {"address": str(Keypair().pubkey())}
    assert problem(await ann.post(f"/wallets/cards/{copy}/withdraw", body), 409, "not_minted")["copy"] == copy


async def test_without_a_chain_no_card_is_withdrawn(engine: RestEngine):
    ann = await engine.person()
    body = {"address": str(Keypair().pubkey())}
    problem(await ann.post("/wallets/cards/0000000000001/withdraw", body), 409, "no_chain")


async def test_cards_need_a_code_once_a_second_factor_is_on(engine: RestEngine, chain: Chain):
    ann, outside = await engine.person(), str(Keypair().pubkey())
    copy, user, now_ms = await minted(engine, ann), parse_id(ann.id), engine.services.now_ms()
    check = engine.services.wallets.second_factor
    totp = pyotp.TOTP((await check.begin(user, ann.name, now_ms)).secret)
    await check.confirm(user, totp.at(now_ms // 1000), now_ms)
    path = f"/wallets/cards/{copy}/withdraw"
    problem(await ann.post(path, {"address": outside}, key="card"), 403, "second_factor_required")
    wrong = {"X-Second-Factor": "000000"}
    problem(await ann.post(path, {"address": outside}, key="card", headers=wrong), 403, "second_factor_invalid")
    assert (await ann.get(f"/copies/{copy}")).json()["place"] == "free"
    good = {"X-Second-Factor": totp.at(now_ms // 1000 + 30)}
    assert (await ann.post(path, {"address": outside}, key="card", headers=good)).status_code == 201
