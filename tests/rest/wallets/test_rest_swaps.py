"""Proposing swaps over REST: whose wallets and cards, the limits, who may see and end them."""

from typing import Any

import pytest
from solders.keypair import Keypair

from domain.ids import id_text, parse_id
from tests.rest.rest_engine import USD, RestEngine
from tests.rest.test_rest_auctions import problem
from tests.rest.wallets.swap_scene import Party, linked_party, new_copy, record_asset


async def held(engine: RestEngine, owner: Party, holder: str | None = None) -> str:
    copy = await new_copy(engine, owner)
    await record_asset(engine, copy, str(Keypair().pubkey()), holder or owner.wallet)
    return copy


def body(one: Party, gives: dict[str, Any], two: Party, takes: dict[str, Any]) -> dict[str, Any]:
    return {"counterparty": two.person.name, "gives": gives, "takes": takes}


async def test_a_swap_is_proposed_once_for_each_key_and_seen_by_its_two_users(engine: RestEngine):
    ann, bob, eve = [await linked_party(engine) for _ in range(3)]
    hers, his = await held(engine, ann), await held(engine, bob)
    wanted = body(ann, ann.gives(hers), bob, bob.gives(his))
    answers = [await ann.person.post("/wallets/swaps", wanted, key="same") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
    made = answers[0].json()
    assert answers[1].json() == made
    assert (made["state"], made["message"], made["transaction"]) == ("preparing", None, None)
    assert made["proposer"] == {"user": ann.person.name, "wallet": ann.wallet, "signed": False}
    assert [(leg["copy"], leg["giver"], leg["taker"]) for leg in made["legs"]] == [
        (hers, ann.wallet, bob.wallet), (his, bob.wallet, ann.wallet),
    ]  # fmt: skip
    for party in (ann, bob):
        assert (await party.person.get(f"/wallets/swaps/{made['id']}")).json() == made
        assert (await party.person.get("/wallets/swaps")).json()["items"] == [made]
    problem(await eve.person.get(f"/wallets/swaps/{made['id']}"), 404, "not_found")
    problem(await eve.person.post(f"/wallets/swaps/{made['id']}/cancel"), 404, "not_found")
    assert (await eve.person.get("/wallets/swaps")).json()["items"] == []


async def test_a_preview_has_the_legs_and_refusals_of_the_proposal_and_proposes_nothing(engine: RestEngine):
    ann, bob = await linked_party(engine), await linked_party(engine)
    hers, his = await held(engine, ann), await held(engine, bob)
    wanted = body(ann, ann.gives(pays=40 * USD), bob, bob.gives(his))
    seen = await ann.person.post("/wallets/swap-previews", wanted)
    assert seen.status_code == 200, seen.text
    assert (await ann.person.get("/wallets/swaps")).json()["items"] == []
    assert seen.json()["legs"] == (await ann.person.post("/wallets/swaps", wanted)).json()["legs"]
    assert {leg["kind"] for leg in seen.json()["legs"]} == {"card", "payment"}
    strange = body(ann, ann.gives(his), bob, bob.gives(hers))
    problem(await ann.person.post("/wallets/swap-previews", strange), 403, "not_your_copy")


async def test_swaps_are_paged_for_both_the_newest_first(engine: RestEngine):
    ann, bob = await linked_party(engine), await linked_party(engine)
    hers, his = await held(engine, ann), await held(engine, bob)
    made = []
    for one, gives, two, takes in ((ann, hers, bob, his), (bob, his, ann, hers), (ann, hers, bob, his)):
        answer = await one.person.post("/wallets/swaps", body(one, one.gives(gives), two, two.gives(takes)))
        made.append(answer.json()["id"])
    for party in (ann, bob):
        first = (await party.person.get("/wallets/swaps?limit=2")).json()
        rest = (await party.person.get(f"/wallets/swaps?limit=2&cursor={first['next_cursor']}")).json()
        assert [one["id"] for one in (*first["items"], *rest["items"])] == made[::-1]
        assert rest["next_cursor"] is None


async def test_a_cancelled_swap_gives_its_nonce_back_and_stays_cancelled(engine: RestEngine):
    ann, bob = await linked_party(engine), await linked_party(engine)
    hers = await held(engine, ann)
    made = (await ann.person.post("/wallets/swaps", body(ann, ann.gives(hers), bob, bob.gives()))).json()
    for party in (bob, ann):
        answer = await party.person.post(f"/wallets/swaps/{made['id']}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    taken = await engine.pool.fetchval("SELECT count(*) FROM nonce_accounts WHERE swap_id = $1", parse_id(made["id"]))
    assert taken == 0
    path = f"/wallets/swaps/{made['id']}/signatures"
    problem(await bob.person.post(path, {"signature": str(Keypair().sign_message(b""))}), 409, "swap_not_ready")
    states = [one["data"]["state"] for one in (await bob.person.get("/notifications")).json()["items"]]
    assert states == ["cancelled"]


async def test_only_linked_wallets_and_the_cards_that_they_hold_can_be_swapped(engine: RestEngine):
    ann, bob = await linked_party(engine), await linked_party(engine)
    hers, his = await held(engine, ann), await held(engine, bob)
    elsewhere = await held(engine, ann, str(Keypair().pubkey()))
    not_minted = await new_copy(engine, ann)
    unlinked = Party(ann.person, Keypair())
    for gives, takes, status, code in (
        (unlinked.gives(hers), bob.gives(his), 422, "wallet_not_linked"),
        (bob.gives(hers), bob.gives(his), 422, "wallet_not_linked"),
        (ann.gives(hers), unlinked.gives(his), 422, "wallet_not_linked"),
        (ann.gives(his), bob.gives(his), 403, "not_your_copy"),
        (ann.gives(hers), bob.gives(hers), 403, "not_your_copy"),
        (ann.gives(elsewhere), bob.gives(his), 409, "not_in_wallet"),
        (ann.gives(not_minted), bob.gives(his), 409, "not_minted"),
        (ann.gives(id_text(7)), bob.gives(his), 404, "copy_not_found"),
        (ann.gives("no id"), bob.gives(his), 422, "invalid_request"),
        (ann.gives(), bob.gives(), 422, "invalid_terms"),
        (ann.gives(hers, hers), bob.gives(his), 422, "invalid_terms"),
        (ann.gives(hers, pays=1), bob.gives(his, pays=1), 422, "invalid_terms"),
        (ann.gives(hers, pays=-1), bob.gives(his), 422, "invalid_request"),
    ):
        problem(await ann.person.post("/wallets/swaps", body(ann, gives, bob, takes)), status, code)
    problem(await ann.person.post("/wallets/swaps", body(ann, ann.gives(hers), ann, ann.gives())), 422, "invalid_terms")


async def test_users_who_have_blocked_each_other_can_not_swap(engine: RestEngine):
    ann, bob = await linked_party(engine), await linked_party(engine)
    wanted = body(ann, ann.gives(await held(engine, ann)), bob, bob.gives(await held(engine, bob)))
    path = f"/users/me/blocks/{ann.person.name}"
    assert (await engine.request("PUT", path, token=bob.person.token)).status_code == 204
    problem(await ann.person.post("/wallets/swaps", wanted), 403, "user_blocked")


@pytest.mark.parametrize(("a_side", "pays", "fits"), [(2, 0, True), (3, 0, False), (2, USD, False), (1, USD, True)])
async def test_what_does_not_fit_into_a_transaction_is_refused_at_once(
    engine: RestEngine, a_side: int, pays: int, fits: bool
):
    ann, bob = await linked_party(engine), await linked_party(engine)
    hers = [await held(engine, ann) for _ in range(a_side)]
    his = [await held(engine, bob) for _ in range(a_side)]
    answer = await ann.person.post("/wallets/swaps", body(ann, ann.gives(*hers, pays=pays), bob, bob.gives(*his)))
    if fits:
        assert answer.status_code == 201, answer.text
    else:
        problem(answer, 422, "swap_too_large")


async def test_nobody_proposes_more_swaps_at_a_time_than_the_maximum(engine: RestEngine):
    ann, bob = await linked_party(engine), await linked_party(engine)
    hers = await held(engine, ann)
    wanted = body(ann, ann.gives(hers), bob, bob.gives())
    made = [await ann.person.post("/wallets/swaps", wanted) for _ in range(10)]
    assert {answer.status_code for answer in made} == {201}
    assert problem(await ann.person.post("/wallets/swaps", wanted), 409, "swaps_full")["maximum"] == 10
    await ann.person.post(f"/wallets/swaps/{made[0].json()['id']}/cancel")
    assert (await ann.person.post("/wallets/swaps", wanted)).status_code == 201


async def test_a_signature_needs_the_message_and_comes_in_one_form(engine: RestEngine):
    ann, bob = await linked_party(engine), await linked_party(engine)
    hers = await held(engine, ann)
    made = (await ann.person.post("/wallets/swaps", body(ann, ann.gives(hers), bob, bob.gives()))).json()
    path, signature = f"/wallets/swaps/{made['id']}/signatures", str(Keypair().sign_message(b""))
    problem(await ann.person.post(path, {"signature": signature}), 409, "swap_not_ready")
    answer = await engine.request("POST", path, token=ann.person.token, json={"signature": signature})
    problem(answer, 400, "idempotency_key_missing")
    for wrong in ({"signature": "0" * 70}, {"transaction": "?"}, {"other": 1}):
        problem(await ann.person.post(path, wrong), 422, "invalid_request")
