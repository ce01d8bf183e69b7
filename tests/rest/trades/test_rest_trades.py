"""Trades over REST, on the real PostgreSQL and a real host."""

import asyncio
from typing import Any

import pyotp

from actors.stream.messages import StateAnswer, command
from domain.ids import id_text, parse_id
from domain.trade.commands import Execute
from gateway.trades.conditions import TradeConditions
from persistence.trades.preferences import TradeSettings
from tests.rest.rest_engine import USD, Person, RestEngine
from tests.rest.test_rest_auctions import problem
from tests.rest.trades.trading import HOUR_MS, Pair, copies_for, done, leg, pair, read


async def refused(person: Person, path: str, body: Any, key: str | None = None) -> tuple[int, str]:
    answer = await person.post(path, body, key)
    return answer.status_code, answer.json()["code"]


async def test_two_users_offer_counter_accept_and_confirm(engine: RestEngine):
    two = await pair(engine)
    offered = await two.offer(message="Mine for yours?")
    trade = f"/trades/{offered['id']}"
    assert (offered["status"], offered["version"], offered["proposer"]) == ("open", 1, two.ann.id)
    assert {party["username"]: party["accepted"] for party in offered["parties"]} == {
        two.ann.name: True,
        two.bob.name: False,
    }
    more = [leg(two.ann, two.bob, two.hers, money=2 * USD), leg(two.bob, two.ann, two.his)]
    countered = await done(two.bob, f"{trade}/counter", {"version": 1, "legs": more, "message": "Two dollars"})
    assert (countered["outcome"], countered["number"], countered["duplicate"]) == ("countered", 2, False)
    assert await refused(two.ann, f"{trade}/accept", {"hash": offered["hash"]}) == (409, "stale_terms")
    agreed = await done(two.ann, f"{trade}/accept", {"hash": countered["hash"]})
    assert (agreed["outcome"], (await read(two.bob, trade))["status"]) == ("agreed", "agreed")
    assert (await done(two.bob, f"{trade}/confirm", {"hash": agreed["hash"]}))["outcome"] == "confirmed"
    assert (await done(two.ann, f"{trade}/confirm", {"hash": agreed["hash"]}))["outcome"] == "executing"
    assert (await read(two.ann, trade))["status"] == "confirmed"
    versions = (await read(two.ann, f"{trade}/versions"))["items"]
    assert [(one["version"], one["by"], one["message"]) for one in versions] == [
        (1, two.ann.id, "Mine for yours?"), (2, two.bob.id, "Two dollars"),
    ]  # fmt: skip


async def test_the_list_says_who_has_to_answer_next(engine: RestEngine):
    two = await pair(engine)
    ann, bob = two.ann, two.bob

    async def awaited() -> list[str]:
        (item,) = (await read(ann, "/trades"))["items"]
        return list(item["awaited"])

    trade = await two.offer()
    path = f"/trades/{trade['id']}"
    assert await awaited() == [bob.id]
    countered = await done(bob, f"{path}/counter", {"version": 1, "legs": two.legs, "message": ""})
    assert await awaited() == [ann.id]
    await done(bob, f"{path}/messages", {"text": "Well?"})
    agreed = await done(ann, f"{path}/accept", {"hash": countered["hash"]})
    assert sorted(await awaited()) == sorted([ann.id, bob.id])
    await done(ann, f"{path}/confirm", {"hash": agreed["hash"] or countered["hash"]})
    assert await awaited() == [bob.id]
    await done(bob, f"{path}/confirm", {"hash": agreed["hash"] or countered["hash"]})
    assert await awaited() == []


async def test_the_same_key_gives_the_same_answer_once(engine: RestEngine):
    two = await pair(engine)
    first = await two.ann.post("/trades", {"legs": two.legs}, "one-offer")
    again = await two.ann.post("/trades", {"legs": two.legs}, "one-offer")
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await refused(two.ann, "/trades", {"legs": two.legs, "message": "!"}, "one-offer") == (422, "key_reused")
    path, body = f"/trades/{first.json()['id']}/accept", {"hash": first.json()["hash"]}
    accepted = await done(two.bob, path, body, "a")
    assert await done(two.bob, path, body, "a") == accepted | {"duplicate": True}
    assert await refused(two.bob, path, body, "b") == (
        409,
        "stale_terms" if accepted["hash"] != body["hash"] else "already_accepted",
    )


async def test_an_offer_whose_answer_was_lost_is_found_again_although_a_check_would_refuse_it_now(engine: RestEngine):
    two = await pair(engine)
    engine.router.lost_answers = 2
    assert (await two.ann.post("/trades", {"legs": two.legs}, "lost")).status_code == 503
    await engine.services.trades.preferences.block(parse_id(two.bob.id), parse_id(two.ann.id), 0)
    made = await done(two.ann, "/trades", {"legs": two.legs}, "lost")
    assert (made["status"], len((await read(two.ann, "/trades"))["items"])) == ("open", 1)


async def test_a_counter_offer_is_found_again_although_a_check_would_refuse_it_now(engine: RestEngine):
    two = await pair(engine)
    trade = await two.offer()
    path, body = f"/trades/{trade['id']}/counter", {"version": 1, "legs": two.legs, "message": "now"}
    first = await done(two.bob, path, body, "counter")
    await engine.services.trades.preferences.block(parse_id(two.bob.id), parse_id(two.ann.id), 0)
    assert await done(two.bob, path, body, "counter") == first | {"duplicate": True}
    assert await refused(two.bob, path, body, "another") == (403, "user_blocked")


async def test_to_anybody_else_a_trade_does_not_exist(engine: RestEngine):
    two = await pair(engine)
    trade = await two.offer()
    path = f"/trades/{trade['id']}"
    for person in (await engine.person(), await engine.person(role="admin")):
        for route in ("", "/versions", "/messages", "/value"):
            answer = await person.get(path + route)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        for route, body in (
            ("/accept", {"hash": trade["hash"]}), ("/confirm", {"hash": trade["hash"]}), ("/decline", None),
            ("/messages", {"text": "hello"}), ("/draft", {"draft": 0, "legs": two.legs}),
            ("/dispute", {"reason": "?"}), ("/respond", {"text": "?"}), ("/appeal", {"reason": "?"}),
            ("/counter", {"version": 1, "legs": two.legs}),
        ):  # fmt: skip
            assert await refused(person, path + route, body) == (404, "not_found"), route
        assert (await read(person, "/trades"))["items"] == []
    assert (await two.ann.get("/trades/nonsense")).status_code == 404
    assert (await two.ann.get(f"/auctions/{trade['id']}")).status_code == 404


async def test_bad_offers_are_refused_with_their_reason(engine: RestEngine):
    two, cyd = await pair(engine), await engine.person()
    ann, bob = two.ann, two.bob
    back = leg(bob, ann, two.his)
    cases = [
        ([leg(ann, bob, two.hers, two.hers), back], 422, "invalid_terms"),
        ([leg(ann, bob, two.his), leg(bob, ann, two.hers)], 403, "not_your_copy"),
        ([leg(ann, bob, "0000000000001"), back], 404, "copy_not_found"),
        ([leg(ann, bob, "nonsense"), back], 404, "copy_not_found"),
        ([leg(ann, bob, two.hers, money=-1), back], 422, "invalid_request"),
        ([leg(ann, bob, two.hers, money=10**18), back], 422, "invalid_request"),
        ([leg(ann, bob, money=USD), leg(bob, ann, money=USD)], 422, "invalid_terms"),
        ([leg(ann, bob, two.hers, money=USD), leg(bob, ann, two.his, money=USD)], 422, "invalid_terms"),
        ([leg(ann, bob, two.hers)], 422, "invalid_terms"),
        ([leg(ann, bob, two.hers), leg(bob, cyd, two.his)], 422, "invalid_terms"),
        ([leg(bob, cyd, two.his), leg(cyd, bob, money=USD)], 422, "invalid_terms"),
        ([leg(ann, ann, two.hers)], 422, "invalid_terms"),
        ([leg(ann, bob, *["0000000000001"] * 1_000), back], 422, "invalid_request"),
        ([], 422, "invalid_terms"),
    ]  # fmt: skip
    for legs, status, code in cases:
        assert await refused(ann, "/trades", {"legs": legs}) == (status, code), legs
    nobody = {"giver": id_text(5), "receiver": ann.id, "copies": [two.his]}
    assert await refused(ann, "/trades", {"legs": [leg(ann, bob, two.hers) | {"receiver": id_text(5)}, nobody]}) == (
        404,
        "not_found",
    )
    for expires_in_ms in (HOUR_MS - 1, 31 * 24 * HOUR_MS):
        assert (await refused(ann, "/trades", {"legs": two.legs, "expires_in_ms": expires_in_ms}))[0] == 422
    assert (await read(ann, "/trades"))["items"] == []


async def test_a_copy_that_is_not_free_can_not_be_offered(engine: RestEngine):
    two = await pair(engine)
    await two.ann.open_auction(copies=[two.hers])
    answer = await two.ann.post("/trades", {"legs": two.legs})
    assert (answer.status_code, answer.json()["code"], answer.json()["copy"]) == (409, "copy_not_free", two.hers)


async def test_a_ring_needs_all_its_parties_also_in_a_counter_offer(engine: RestEngine):
    two, cyd = await pair(engine), await engine.person()
    [third] = await copies_for(engine, cyd, card="Earths")
    ring = [leg(two.ann, two.bob, two.hers), leg(two.bob, cyd, two.his), leg(cyd, two.ann, third)]
    trade = await done(two.ann, "/trades", {"legs": ring})
    assert len(trade["parties"]) == 3
    path = f"/trades/{trade['id']}/counter"
    assert await refused(two.bob, path, {"version": 1, "legs": two.legs}) == (422, "invalid_terms")
    assert await refused(two.bob, path, {"version": 7, "legs": ring}) == (409, "stale_terms")


async def test_users_who_have_blocked_each_other_or_take_no_offers_get_none(engine: RestEngine):
    two = await pair(engine)
    put = {"token": two.bob.token}
    assert (await engine.request("PUT", f"/users/me/blocks/{two.ann.name}", **put)).status_code == 204
    assert (await engine.request("PUT", f"/users/me/blocks/{two.ann.name}", **put)).status_code == 204
    assert [one["username"] for one in (await read(two.bob, "/users/me/blocks"))["items"]] == [two.ann.name]
    assert await refused(two.ann, "/trades", {"legs": two.legs}) == (403, "user_blocked")
    assert await refused(two.bob, "/trades", {"legs": two.legs}) == (403, "user_blocked")
    assert (await engine.request("DELETE", f"/users/me/blocks/{two.ann.name}", **put)).status_code == 204
    assert (await engine.request("PUT", f"/users/me/blocks/{two.bob.name}", **put)).status_code == 422
    settings = {"cool_down_ms": 5_000, "open_to_trade": False}
    answer = await engine.request("PUT", "/users/me/trade-settings", json=settings, **put)
    assert (answer.status_code, await read(two.bob, "/users/me/trade-settings")) == (200, settings)
    assert await refused(two.ann, "/trades", {"legs": two.legs}) == (403, "forbidden")
    assert (await two.bob.post("/trades", {"legs": two.legs})).status_code == 201


async def test_a_user_s_own_cool_down_delays_the_confirmation(engine: RestEngine):
    two = await pair(engine)
    await engine.services.trades.preferences.set(parse_id(two.bob.id), TradeSettings(60_000))
    agreed = await two.agreed()
    answer = await two.ann.post(f"/trades/{agreed['trade']}/confirm", {"hash": agreed["hash"]})
    assert problem(answer, 409, "trade_cooling_down")["retry_after_ms"] > 50_000


async def test_only_copies_that_meet_the_conditions_can_be_named(engine: RestEngine):
    two = await pair(engine)
    [other] = await copies_for(engine, two.bob, card="Earths")
    card = (await read(two.bob, f"/copies/{other}"))["card"]
    legs = [leg(two.ann, two.bob, two.hers), leg(two.bob, two.ann, conditions=[{"card": card}])]
    trade = await done(two.ann, "/trades", {"legs": legs})
    path = f"/trades/{trade['id']}/accept"
    for copies, status, code in (
        ([], 422, "invalid_terms"), ([two.his], 422, "invalid_terms"), ([two.hers], 403, "not_your_copy"),
        (["nonsense"], 404, "copy_not_found"), ([other, other], 422, "invalid_terms"),
    ):  # fmt: skip
        assert await refused(two.bob, path, {"hash": trade["hash"], "copies": copies}) == (status, code), copies
    agreed = await done(two.bob, path, {"hash": trade["hash"], "copies": [other]}, "named")
    assert agreed["outcome"] == "agreed"
    # The copy is held now, so that the check fails: the retry is known by its key.
    again = await done(two.bob, path, {"hash": trade["hash"], "copies": [other]}, "named")
    assert again == agreed | {"duplicate": True}


async def test_messages_are_masked_and_read_from_the_log(engine: RestEngine):
    two = await pair(engine)
    trade = await two.offer()
    path = f"/trades/{trade['id']}/messages"
    for text in ("Would you add the foil?", "Write to ann@example.org"):
        await done(two.ann, path, {"text": text})
    assert await refused(two.ann, path, {"text": ""}) == (422, "invalid_request")
    first = await read(two.bob, f"{path}?limit=1")
    assert [(one["number"], one["by"], one["text"]) for one in first["items"]] == [
        (1, two.ann.id, "Would you add the foil?")
    ]
    rest = await read(two.bob, f"{path}?limit=1&cursor={first['next_cursor']}")
    assert ([one["text"] for one in rest["items"]], rest["next_cursor"]) == (["Write to •••"], None)


async def test_an_edit_of_an_old_draft_is_refused_with_the_versions_now(engine: RestEngine):
    two = await pair(engine)
    trade = await two.offer()
    path = f"/trades/{trade['id']}/draft"
    assert (await done(two.ann, path, {"draft": 0, "legs": two.legs[:1]}))["number"] == 1
    stale = problem(await two.bob.post(path, {"draft": 0, "legs": []}), 409, "stale_terms")
    assert (stale["version"], stale["draft"]) == (1, 1)
    state = await read(two.bob, f"/trades/{trade['id']}")
    assert (state["draft_version"], len(state["draft"])) == (1, 1)


async def test_own_trades_are_listed_by_status_page_by_page(engine: RestEngine):
    two = await pair(engine)
    trades = [(await two.offer())["id"] for _ in range(3)]
    await done(two.ann, f"/trades/{trades[0]}/decline")
    page = await read(two.bob, "/trades?limit=2")
    assert [one["id"] for one in page["items"]] == trades[:0:-1]
    rest = await read(two.bob, f"/trades?limit=2&cursor={page['next_cursor']}")
    assert [(one["id"], one["status"]) for one in rest["items"]] == [(trades[0], "withdrawn")]
    withdrawn = await read(two.ann, "/trades?status=withdrawn")
    assert [one["id"] for one in withdrawn["items"]] == trades[:1]
    assert {party["username"] for party in withdrawn["items"][0]["parties"]} == {two.ann.name, two.bob.name}


async def test_a_user_has_so_many_open_offers_at_most(engine: RestEngine):
    assert TradeConditions().open_offers_max == 500
    two, commands = await pair(engine), engine.services.trades.commands
    commands._terms = TradeConditions(open_offers_max=2)
    first = await two.offer()
    await two.offer()
    full = problem(await two.ann.post("/trades", {"legs": two.legs}), 429, "quota_exceeded")
    assert (full["quota"], full["limit"]) == ("open_offers", 2)
    await done(two.bob, f"/trades/{first['id']}/decline")
    await two.offer()


async def test_a_confirmation_needs_the_second_factor_where_there_is_one(engine: RestEngine):
    two = await pair(engine)
    agreed = await two.agreed()
    path, body = f"/trades/{agreed['trade']}/confirm", {"hash": agreed["hash"]}
    factor = engine.services.wallets.second_factor
    now_ms, user = engine.services.now_ms(), parse_id(two.bob.id)
    enrolment = await factor.begin(user, two.bob.name, now_ms)
    codes = pyotp.TOTP(enrolment.secret)
    await factor.confirm(user, codes.at(now_ms // 1000 - 30), now_ms)
    assert await refused(two.bob, path, body) == (403, "second_factor_required")
    wrong = await two.bob.post(path, body, headers={"X-Second-Factor": "000000"})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "second_factor_invalid")
    good = {"X-Second-Factor": codes.at(now_ms // 1000)}
    confirmed, again = [await two.bob.post(path, body, "confirm", headers=good) for _ in range(2)]
    assert (confirmed.status_code, again.json()) == (201, confirmed.json() | {"duplicate": True})


async def test_the_values_of_both_sides_are_a_hint_before_one_accepts(engine: RestEngine):
    two = await pair(engine)
    trade = await two.offer()
    nothing = await read(two.bob, f"/trades/{trade['id']}/value")
    assert (nothing["certainty"], nothing["parties"][0]["gives"]["unvalued"]) == ("none", 1)
    for copy, price in ((two.hers, 3 * USD), (two.his, 5 * USD)):
        await engine.pool.execute(
            "INSERT INTO card_prices (card_id, currency, last_price, last_at) SELECT card_id, 'USDC', $2, 0"
            " FROM copies WHERE copy_id = $1",
            parse_id(copy), price,
        )  # fmt: skip
    value = await read(two.bob, f"/trades/{trade['id']}/value")
    assert [(one["user"], one["gives"]["total"], one["gets"]["total"]) for one in value["parties"]] == [
        (two.ann.id, 4 * USD, 5 * USD), (two.bob.id, 5 * USD, 4 * USD),
    ]  # fmt: skip
    assert (value["difference_bp"], value["certainty"]) == (2_000, "low")
    answer = await two.ann.post("/trade-values", {"legs": two.legs})
    assert (answer.status_code, answer.json()) == (200, value)


async def test_what_is_taken_from_the_money_of_an_offer_is_known_before_it_is_made(engine: RestEngine):
    two, creator = await pair(engine), await engine.person()
    card = parse_id((await read(two.ann, f"/copies/{two.his}"))["card"])
    assert await engine.services.sales.copies.set_royalty(card, [(parse_id(creator.id), 1_000)])
    bought = [leg(two.ann, two.bob, money=4 * USD), leg(two.bob, two.ann, two.his)]
    exchanged = [leg(two.ann, two.bob, two.hers), leg(two.bob, two.ann, two.his)]
    unknown = [leg(two.ann, two.bob, money=4 * USD), leg(two.bob, two.ann, id_text(1))]
    for legs, costs in ((bought, (100_000, 400_000)), (exchanged, (0, 0)), (unknown, (100_000, 0))):
        value = (await two.ann.post("/trade-values", {"legs": legs})).json()
        assert (value["fee_basis_points"], value["fee"], value["royalties"]) == (250, *costs)


async def test_moderators_see_and_decide_disputes_and_no_other_trades(engine: RestEngine):
    two, moderator = await pair(engine), await engine.person(role="admin")
    assert (await two.ann.get("/admin/trades/disputes")).status_code == 403
    assert await refused(two.ann, f"/admin/trades/{two.hers}/judge", {"upheld": True, "reason": "?"}) == (
        403,
        "forbidden",
    )
    assert await refused(moderator, f"/admin/trades/{two.hers}/reverse", {"reason": "?"}) == (404, "not_found")
    assert (await read(moderator, "/admin/trades/disputes"))["items"] == []


async def executed(two: Pair) -> str:
    """A trade whose copies and money have changed owners, as its worker reports."""
    agreed = await two.agreed()
    for person in (two.ann, two.bob):
        await done(person, f"/trades/{agreed['trade']}/confirm", {"hash": agreed["hash"]})
    until = two.engine.services.now_ms() + HOUR_MS
    answer = await two.engine.router.ask(command(parse_id(agreed["trade"]), "trade", Execute(0, 0, until, until)))
    assert isinstance(answer, StateAnswer), answer
    return str(agreed["trade"])


async def test_a_dispute_goes_from_the_complaint_over_an_appeal_to_the_final_decision(engine: RestEngine):
    two, stranger = await pair(engine), await engine.person()
    first, second = [await engine.person(role="admin") for _ in range(2)]
    trade = await executed(two)
    path, admin = f"/trades/{trade}", f"/admin/trades/{trade}"
    body = {"reason": "Not the card of the picture", "evidence": ["ipfs://picture"]}
    assert (await done(two.ann, f"{path}/dispute", body, "d"))["outcome"] == "disputed"
    assert (await done(two.ann, f"{path}/dispute", body, "d"))["duplicate"] is True
    assert await refused(two.bob, f"{path}/dispute", body) == (409, "dispute_not_possible")
    assert (await stranger.get(path)).status_code == 404
    state = await read(first, path)
    assert (state["status"], state["dispute"]["stage"], state["dispute"]["by"]) == ("disputed", "responses", two.ann.id)
    assert await refused(first, f"{admin}/judge", {"upheld": True, "reason": "?"}) == (409, "dispute_not_possible")
    assert (await done(two.bob, f"{path}/respond", {"text": "It is", "evidence": []}))["outcome"] == "responded"
    [item] = (await read(first, "/admin/trades/disputes?stage=judgement"))["items"]
    assert (item["id"], item["stage"]) == (trade, "judgement")
    assert (await done(first, f"{admin}/judge", {"upheld": False, "reason": "It is"}))["outcome"] == "judged"
    assert (await done(two.ann, f"{path}/appeal", {"reason": "Look again"}))["outcome"] == "appealed"
    assert await refused(first, f"{admin}/judge", {"upheld": True, "reason": "?"}) == (403, "forbidden")
    await done(second, f"{admin}/judge", {"upheld": True, "reason": "It is not"})
    state = await read(two.bob, path)
    assert (state["status"], [one["upheld"] for one in state["dispute"]["judgements"]]) == ("reversing", [False, True])


async def test_a_party_who_is_an_operator_decides_nothing(engine: RestEngine):
    two = await pair(engine)
    two.ann = await engine.person(role="admin")
    [two.hers] = await copies_for(engine, two.ann)
    trade = await executed(two)
    await done(two.bob, f"/trades/{trade}/dispute", {"reason": "?"})
    await done(two.ann, f"/trades/{trade}/respond", {"text": "!"})
    assert await refused(two.ann, f"/admin/trades/{trade}/judge", {"upheld": False, "reason": "!"}) == (
        403,
        "forbidden",
    )
    assert await refused(two.ann, f"/admin/trades/{trade}/reverse", {"reason": "!"}) == (403, "forbidden")


async def test_a_moderator_reverses_a_protected_trade(engine: RestEngine):
    two, moderator = await pair(engine), await engine.person(role="admin")
    trade = await executed(two)
    assert (await done(moderator, f"/admin/trades/{trade}/reverse", {"reason": "Stolen"}))["outcome"] == "reversing"


async def test_of_two_at_once_who_accept_and_counter_one_is_refused(engine: RestEngine):
    two = await pair(engine)
    trade = await two.offer()
    path = f"/trades/{trade['id']}"
    answers = await asyncio.gather(
        two.bob.post(f"{path}/accept", {"hash": trade["hash"]}),
        two.ann.post(f"{path}/counter", {"version": 1, "legs": two.legs, "message": "Wait"}),
    )
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201, 409], [answer.text for answer in answers]


async def test_ids_of_users_are_found_by_their_names(engine: RestEngine):
    ann = await engine.person()
    found = await read(ann, f"/users/{ann.name.upper()}")
    assert (found["id"], found["username"]) == (ann.id, ann.name)
    assert (await ann.get("/users/nobody")).status_code == 404
    assert (await ann.get("/users/someone@example.org")).status_code == 404
