"""Acts of users and feeds, and lists of mutes, over REST on the real PostgreSQL."""

from typing import Any

from domain.ids import parse_id
from persistence.profiles.activities import _FEED, Activities
from tests.contracts.analytics.market_rows import make_cards, make_copy, refund, settle
from tests.rest.profiles.test_rest_profiles import send
from tests.rest.rest_engine import Person, RestEngine
from tests.rest.test_rest_auctions import problem


async def acts(person: Person, path: str) -> list[tuple[str, str]]:
    answer = await person.get(path)
    assert answer.status_code == 200, answer.text
    return [(item["user"]["username"], item["kind"]) for item in answer.json()["items"]]


async def sell(engine: RestEngine, seller: Person, buyer: Person) -> int:
    """A settled auction of one copy."""
    [card] = await make_cards(engine.pool, 1)
    copy = await make_copy(engine.pool, card, parse_id(seller.id), 1)
    return await settle(engine.pool, [copy], parse_id(buyer.id), 5_000_000, engine.services.now_ms())


async def test_what_a_user_lists_sells_and_wins_is_public_until_it_is_taken_back(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    listed = await ann.open_auction(title="Charizard")
    auction = await sell(engine, ann, bob)
    first = (await bob.get(f"/users/{ann.name}/activity")).json()["items"][-1]
    assert (first["kind"], first["title"], first["subject"]) == ("listed", "Charizard", listed["id"])
    assert await acts(bob, f"/users/{ann.name}/activity") == [(ann.name, "sold"), (ann.name, "listed")]
    assert await acts(ann, f"/users/{bob.name}/activity") == [(bob.name, "won")]
    await refund(engine.pool, auction, engine.services.now_ms())
    assert await acts(bob, f"/users/{ann.name}/activity") == [(ann.name, "listed")]
    assert await acts(ann, f"/users/{bob.name}/activity") == []


async def test_preferences_hide_acts_from_others_and_not_from_oneself(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    await sell(engine, bob, ann)
    await send(ann, "PUT", f"/users/me/following/{bob.name}")
    await send(bob, "PUT", f"/users/me/following/{ann.name}")
    path, all_acts = f"/users/{ann.name}/activity", [(ann.name, "followed"), (ann.name, "won")]
    assert await acts(bob, path) == await acts(bob, "/users/me/feed") == all_acts
    hidden: list[tuple[dict[str, Any], list[str]]] = [
        ({"private_wins": True}, ["followed"]),
        ({"private_wins": False, "private_collection": True}, ["followed"]),
        ({"private_follows": True}, []),
    ]
    for preferences, kinds in hidden:
        assert (await send(ann, "PATCH", "/users/me/preferences", preferences)).status_code == 200
        expected = [(ann.name, kind) for kind in kinds]
        assert await acts(bob, path) == await acts(bob, "/users/me/feed") == expected
        assert await acts(ann, path) == all_acts


async def test_a_feed_has_the_acts_of_those_one_follows_and_has_not_muted(engine: RestEngine):
    ann, bob, cem, eve = [await engine.person() for _ in range(4)]
    for seller in (bob, cem, eve):
        await seller.open_auction()
    for seller in (bob, cem):
        await send(ann, "PUT", f"/users/me/following/{seller.name}")
    assert await acts(ann, "/users/me/feed") == [(cem.name, "listed"), (bob.name, "listed")]
    page = (await ann.get("/users/me/feed", params={"limit": 1})).json()
    assert [item["user"]["username"] for item in page["items"]] == [cem.name]
    rest = (await ann.get("/users/me/feed", params={"limit": 1, "cursor": page["next_cursor"]})).json()
    assert [item["user"]["username"] for item in rest["items"]] == [bob.name]
    problem(await bob.get("/users/me/feed", params={"cursor": page["next_cursor"]}), 400, "invalid_cursor")
    await send(ann, "PUT", f"/users/me/mutes/{bob.name}")
    assert await acts(ann, "/users/me/feed") == [(cem.name, "listed")]
    await send(cem, "PUT", f"/users/me/blocks/{ann.name}")
    assert await acts(ann, "/users/me/feed") == []


async def test_an_unfollowed_user_is_no_longer_an_act(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    await send(ann, "PUT", f"/users/me/following/{bob.name}")
    await send(ann, "DELETE", f"/users/me/following/{bob.name}")
    assert await acts(bob, f"/users/{ann.name}/activity") == []


async def test_mutes_are_listed_until_they_end(engine: RestEngine):
    ann, bob, cem = [await engine.person() for _ in range(3)]
    for muted in (bob, cem):
        await send(ann, "PUT", f"/users/me/mutes/{muted.name}")
    page = (await ann.get("/users/me/mutes", params={"limit": 1})).json()
    rest = (await ann.get("/users/me/mutes", params={"limit": 1, "cursor": page["next_cursor"]})).json()
    assert {item["username"] for item in page["items"] + rest["items"]} == {bob.name, cem.name}
    await send(ann, "DELETE", f"/users/me/mutes/{bob.name}")
    assert [item["username"] for item in (await ann.get("/users/me/mutes")).json()["items"]] == [cem.name]


async def test_the_feed_of_a_user_who_follows_a_thousand_reads_indexes_alone(engine: RestEngine):
    ann = await engine.person()
    await engine.pool.execute(
        """WITH made AS (
            INSERT INTO users (username, email, email_key)
            SELECT 'f' || n, 'f' || n || '@f.example', 'f' || n || '@f.example'
            FROM generate_series(1, 1000) AS n RETURNING user_id
        ), followed AS (
            INSERT INTO follows (follower_id, followed_id, at) SELECT $1, user_id, 0 FROM made
        )
        INSERT INTO activities (user_id, kind, subject_id, at)
        SELECT user_id, 'listed', n, 0 FROM made, generate_series(1, 20) AS n""",
        parse_id(ann.id),
    )
    await engine.pool.execute("VACUUM ANALYZE activities")
    found = await Activities(engine.pool).feed(parse_id(ann.id), None, 10)
    assert len(found) == 10
    assert found == sorted(found, key=lambda act: -act.id)
    # Of the acts that are not on the page, no row is read.
    plan = await engine.pool.fetch(f"EXPLAIN {_FEED}", parse_id(ann.id), None, 10)
    assert "Index Only Scan Backward using activities_by_user" in "\n".join(row[0] for row in plan)
