"""Addresses are verified and changed by tokens that mails carry, and where that is demanded, little goes without."""

import asyncio
from pathlib import Path

import pytest

from persistence.identity.mail_tokens import VERIFY_TTL_MS
from tests.rest.mail.mailing import Post, access_token, log_in, post_of, register
from tests.rest.rest_engine import PASSWORD, RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem

AUCTION = {"title": "Charizard", "starting_price": 1, "duration_ms": 3_600_000, "format": "english"}


async def verified(engine: RestEngine, name: str) -> bool:
    found = await engine.services.users.by_login(name)
    return found is not None and found.verified_at is not None


async def verify(engine: RestEngine, token: str) -> int:
    return (await engine.request("POST", "/auth/verify", json={"token": token})).status_code


async def test_who_registers_gets_a_mail_whose_token_verifies_the_address_once(engine: RestEngine, post: Post):
    await register(engine, "ann")
    token = await post.token("ann@example.org")
    assert not await verified(engine, "ann")
    assert await verify(engine, token) == 204
    assert await verified(engine, "ann")
    again = await engine.request("POST", "/auth/verify", json={"token": token})
    problem(again, 422, "mail_token_invalid")


async def test_no_table_has_the_token_of_a_mail(engine: RestEngine, post: Post):
    await register(engine, "bea")
    jobs = await engine.pool.fetch("SELECT key, payload FROM jobs WHERE kind = 'mail'")
    token = await post.token("bea@example.org")
    stored = await engine.pool.fetch("SELECT t::text FROM mail_tokens t")
    assert jobs
    assert stored
    assert token not in str(jobs) + str(stored)
    assert token.encode().hex() not in str(stored)


async def test_a_token_expires_and_a_mail_that_was_asked_for_again_has_a_new_one(engine: RestEngine, post: Post):
    await register(engine, "cas")
    first = await post.token("cas@example.org")
    await engine.pool.execute("UPDATE mail_tokens SET expires_at = expires_at - $1", VERIFY_TTL_MS)
    assert await verify(engine, first) == 422
    asked = await engine.request("POST", "/auth/verify/resend", json={"email": "CAS@example.org"})
    assert (asked.status_code, asked.content) == (202, b"")
    second = await post.token("cas@example.org")
    assert second != first
    assert await verify(engine, second) == 204


async def test_asking_for_a_mail_says_the_same_of_every_address_and_is_limited(engine: RestEngine, post: Post):
    await register(engine, "dee")
    for address in ("dee@example.org", "nobody@example.org"):
        answers = [await engine.request("POST", "/auth/verify/resend", json={"email": address}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429], address
    assert await post.mails("nobody@example.org") == []
    # That of the registration, and one that was asked for, three times.
    assert len(await post.mails("dee@example.org")) == 2


async def test_an_address_changes_when_the_new_one_is_confirmed_and_the_old_one_is_told(engine: RestEngine, post: Post):
    await register(engine, "eva")
    token = await access_token(engine, "eva")
    body = {"email": "eva@new.example", "password": PASSWORD}
    assert (await engine.request("PUT", "/users/me/email", json=body, token=token)).status_code == 202
    confirming = await post.token("eva@new.example")
    assert (await engine.request("GET", "/users/me", token=token)).json()["email"] == "eva@example.org"
    assert await verify(engine, confirming) == 204
    assert (await engine.request("GET", "/users/me", token=token)).json()["email"] == "eva@new.example"
    assert (await post.mails("eva@example.org"))[0].subject == "Your e-mail address was changed"
    assert await verified(engine, "eva@new.example")


async def test_a_wrong_password_changes_no_address(engine: RestEngine, post: Post):
    await register(engine, "flo")
    token = await access_token(engine, "flo")
    body = {"email": "flo@new.example", "password": "not the password"}
    problem(await engine.request("PUT", "/users/me/email", json=body, token=token), 403, "forbidden")
    assert await post.mails("flo@new.example") == []


async def test_who_asks_for_the_address_of_another_user_learns_nothing(engine: RestEngine, post: Post):
    await register(engine, "gus")
    await register(engine, "hal")
    token = await access_token(engine, "gus")
    await post.deliver()
    before = len(await post.mails("hal@example.org"))
    body = {"email": "hal@example.org", "password": PASSWORD}
    assert (await engine.request("PUT", "/users/me/email", json=body, token=token)).status_code == 202
    assert len(await post.mails("hal@example.org")) == before


async def test_an_address_that_was_taken_meanwhile_is_refused(engine: RestEngine, post: Post):
    await register(engine, "ida")
    token = await access_token(engine, "ida")
    body = {"email": "wanted@example.org", "password": PASSWORD}
    await engine.request("PUT", "/users/me/email", json=body, token=token)
    confirming = await post.token("wanted@example.org")
    await register(engine, "wanted")
    answer = await engine.request("POST", "/auth/verify", json={"token": confirming})
    problem(answer, 409, "email_taken")


async def test_of_many_uses_of_one_token_at_once_one_counts(engine: RestEngine, post: Post):
    await register(engine, "jo1")
    token = await post.token("jo1@example.org")
    assert sorted(await asyncio.gather(*(verify(engine, token) for _ in range(5)))) == [204, 422, 422, 422, 422]


@pytest.mark.parametrize("token", ["x", "ä", "a b", "0" * 201, ""])
async def test_what_is_no_token_is_refused(engine: RestEngine, token: str):
    assert await verify(engine, token) == 422


async def test_where_it_is_demanded_the_unverified_look_and_change_nothing_but_their_account(
    database_url: str, tmp_path: Path
):
    async with rest_engine(database_url, verification_demanded=True) as engine:
        post = post_of(engine, tmp_path)
        await register(engine, "kim")
        token = await access_token(engine, "kim")
        for method, path in (
            ("POST", "/auctions"), ("POST", "/ledger/deposits"), ("POST", "/trades"), ("POST", "/mints"),
            ("POST", "/auctions/0000000000000/bids"), ("POST", "/content"), ("POST", "/ledger/withdrawals"),
        ):  # fmt: skip
            answer = await engine.request(method, path, json=AUCTION, token=token, key="k1")
            problem(answer, 403, "email_not_verified")
        assert (await engine.request("GET", "/auctions", token=token)).status_code == 200
        bio = await engine.request("PATCH", "/users/me/profile", json={"bio": "new here"}, token=token)
        assert bio.status_code == 200
        assert await verify(engine, await post.token("kim@example.org")) == 204
        # The token still says what was; the next one does not.
        problem(
            await engine.request("POST", "/auctions", json=AUCTION, token=token, key="k2"), 403, "email_not_verified"
        )
        later = await access_token(engine, "kim")
        assert (await engine.request("POST", "/auctions", json=AUCTION, token=later, key="k3")).status_code == 201


async def test_where_it_is_demanded_a_key_of_before_permits_no_more_than_a_token(database_url: str, tmp_path: Path):
    async with rest_engine(database_url) as engine:
        await register(engine, "kay")
        mailed = await post_of(engine, tmp_path).token("kay@example.org")
        body = {"name": "bot", "scopes": ["list"]}
        made = await engine.request("POST", "/api-keys", json=body, token=await access_token(engine, "kay"))
        key = str(made.json()["key"])
    async with rest_engine(database_url, verification_demanded=True) as engine:
        answer = await engine.request("POST", "/auctions", json=AUCTION, token=key, key="k5")
        problem(answer, 403, "email_not_verified")
        assert await verify(engine, mailed) == 204
    # Another gateway, which has not looked the key up yet.
    async with rest_engine(database_url, verification_demanded=True) as engine:
        assert (await engine.request("POST", "/auctions", json=AUCTION, token=key, key="k6")).status_code == 201


async def test_where_it_is_not_demanded_the_unverified_do_all(engine: RestEngine):
    await register(engine, "lea")
    token = await access_token(engine, "lea")
    assert (await engine.request("POST", "/auctions", json=AUCTION, token=token, key="k4")).status_code == 201
    assert (await log_in(engine, "lea")).status_code == 200
