"""Passwords: changed by who knows them, reset by who reads the mail, refused where all know them, guessed slowly."""

from pathlib import Path

import pytest

from gateway.identity.log_in_failures import ACCOUNT_FREE, PAIR_FREE, Attempt
from gateway.identity.passwords.hasher import PasswordHasher, PasswordsBusy
from gateway.rest.limits import Limits
from persistence.audit.trail import Filter
from persistence.identity.challenges import Challenge, ChallengeExpired
from persistence.identity.mail_tokens import RESET_TTL_MS
from tests.rest.mail.mailing import Post, access_token, log_in, post_of, register
from tests.rest.rest_engine import PASSWORD, RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem

NEW = "another horse altogether"


async def forgot(engine: RestEngine, address: str) -> None:
    answer = await engine.request("POST", "/auth/password/forgot", json={"email": address})
    assert (answer.status_code, answer.content) == (202, b"")


async def reset(engine: RestEngine, token: str, password: str = NEW) -> int:
    body = {"token": token, "new_password": password}
    return (await engine.request("POST", "/auth/password/reset", json=body)).status_code


async def test_who_knows_the_password_changes_it_and_other_sessions_end(engine: RestEngine, post: Post):
    await register(engine, "ann")
    mine, other = (await log_in(engine, "ann")).json(), (await log_in(engine, "ann")).json()
    body = {"current_password": PASSWORD, "new_password": NEW}
    changed = await engine.request("POST", "/auth/password", json=body, token=mine["access_token"])
    assert changed.status_code == 204
    refreshed = [
        (await engine.request("POST", "/auth/refresh", json={"refresh_token": one["refresh_token"]})).status_code
        for one in (mine, other)
    ]
    assert refreshed == [200, 401]
    assert [(await log_in(engine, "ann", one)).status_code for one in (PASSWORD, NEW)] == [401, 200]
    assert (await post.mails("ann@example.org"))[0].subject == "Your password was changed"


async def good_key(engine: RestEngine, name: str) -> str:
    token = await access_token(engine, name)
    answer = await engine.request("POST", "/api-keys", json={"name": "bot", "scopes": ["account.read"]}, token=token)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


async def key_answer(engine: RestEngine, key: str) -> int:
    await engine.services.credentials.changes.read()
    return (await engine.request("GET", "/users/me", token=key)).status_code


async def test_a_changed_password_revokes_api_keys_unless_they_are_kept(engine: RestEngine):
    await register(engine, "amy")
    key, token = await good_key(engine, "amy"), await access_token(engine, "amy")
    body = {"current_password": PASSWORD, "new_password": NEW, "keep_api_keys": True}
    assert (await engine.request("POST", "/auth/password", json=body, token=token)).status_code == 204
    assert await key_answer(engine, key) == 200
    body = {"current_password": NEW, "new_password": PASSWORD}
    assert (await engine.request("POST", "/auth/password", json=body, token=token)).status_code == 204
    assert await key_answer(engine, key) == 401
    user = await engine.services.users.by_login("amy")
    assert user is not None
    acts = await engine.pool.fetch("SELECT action FROM audit_entries WHERE actor_id = $1", user.user_id)
    assert [act["action"] for act in acts].count("api_keys.revoked") == 1


async def test_a_reset_password_revokes_api_keys(engine: RestEngine, post: Post):
    await register(engine, "ada")
    key = await good_key(engine, "ada")
    assert await key_answer(engine, key) == 200
    await forgot(engine, "ada@example.org")
    assert await reset(engine, await post.token("ada@example.org")) == 204
    assert await key_answer(engine, key) == 401


async def test_a_wrong_password_changes_nothing(engine: RestEngine):
    await register(engine, "bea")
    token = await access_token(engine, "bea")
    body = {"current_password": "not the password", "new_password": NEW}
    problem(await engine.request("POST", "/auth/password", json=body, token=token), 403, "forbidden")
    assert (await log_in(engine, "bea")).status_code == 200


async def test_who_reads_the_mail_sets_a_new_password_once_and_all_sessions_end(engine: RestEngine, post: Post):
    await register(engine, "cas")
    session = (await log_in(engine, "cas")).json()
    await forgot(engine, "CAS@example.org")
    token = await post.token("cas@example.org")
    assert await reset(engine, token) == 204
    assert await reset(engine, token, "yet another horse") == 422
    refreshed = await engine.request("POST", "/auth/refresh", json={"refresh_token": session["refresh_token"]})
    assert refreshed.status_code == 401
    assert (await log_in(engine, "cas", NEW)).status_code == 200
    assert (await post.mails("cas@example.org"))[0].subject == "Your password was changed"
    found = await engine.services.users.by_login("cas")
    assert found is not None
    assert found.verified_at is not None


async def test_a_reset_expires_and_one_that_is_used_ends_the_others(engine: RestEngine, post: Post):
    await register(engine, "dee")
    await forgot(engine, "dee@example.org")
    first = await post.token("dee@example.org")
    await forgot(engine, "dee@example.org")
    second = await post.token("dee@example.org")
    await forgot(engine, "dee@example.org")
    third = await post.token("dee@example.org")
    assert len({first, second, third}) == 3
    await engine.pool.execute("UPDATE mail_tokens SET expires_at = expires_at - $1 WHERE purpose = 'reset'", 1)
    assert await reset(engine, second) == 204
    assert [await reset(engine, one) for one in (first, third)] == [422, 422]
    await register(engine, "dee2")
    await forgot(engine, "dee2@example.org")
    late = await post.token("dee2@example.org")
    await engine.pool.execute("UPDATE mail_tokens SET expires_at = expires_at - $1", RESET_TTL_MS)
    assert await reset(engine, late) == 422


async def test_a_changed_password_ends_what_was_mailed_to_reset_the_old_one(engine: RestEngine, post: Post):
    await register(engine, "eva")
    await forgot(engine, "eva@example.org")
    token = await post.token("eva@example.org")
    body = {"current_password": PASSWORD, "new_password": NEW}
    await engine.request("POST", "/auth/password", json=body, token=await access_token(engine, "eva"))
    assert await reset(engine, token, "yet another horse") == 422


async def set_new_password(engine: RestEngine, post: Post, name: str, way: str) -> None:
    if way == "reset":
        await forgot(engine, f"{name}@example.org")
        assert await reset(engine, await post.token(f"{name}@example.org")) == 204
        return
    body = {"current_password": PASSWORD, "new_password": NEW}
    token = await access_token(engine, name)
    assert (await engine.request("POST", "/auth/password", json=body, token=token)).status_code == 204


@pytest.mark.parametrize("way", ["change", "reset"])
async def test_a_new_password_ends_a_change_of_address_that_waits(engine: RestEngine, post: Post, way: str):
    name, thief = f"fay_{way}", f"{way}@thief.example"
    await register(engine, name)
    body = {"email": thief, "password": PASSWORD}
    token = await access_token(engine, name)
    assert (await engine.request("PUT", "/users/me/email", json=body, token=token)).status_code == 202
    confirming = await post.token(thief)
    await set_new_password(engine, post, name, way)
    answer = await engine.request("POST", "/auth/verify", json={"token": confirming})
    problem(answer, 422, "mail_token_invalid")
    assert await engine.services.users.by_login(f"{name}@example.org") is not None


async def test_a_change_of_address_whose_mail_was_not_sent_before_a_new_password_is_not_mailed(
    engine: RestEngine, post: Post
):
    await register(engine, "fia")
    body = {"email": "late@thief.example", "password": PASSWORD}
    token = await access_token(engine, "fia")
    assert (await engine.request("PUT", "/users/me/email", json=body, token=token)).status_code == 202
    await set_new_password(engine, post, "fia", "change")
    assert await post.mails("late@thief.example") == []


async def test_a_new_password_ends_links_and_log_ins_that_wait_for_their_second_step(engine: RestEngine, post: Post):
    await register(engine, "fox")
    user, now_ms = await engine.services.users.by_login("fox"), engine.services.now_ms()
    assert user is not None
    challenges = engine.services.ways_in.challenges
    await challenges.issue("begun", Challenge("openid", user.user_id, b"{}", now_ms + 60_000), now_ms)
    await set_new_password(engine, post, "fox", "reset")
    with pytest.raises(ChallengeExpired):
        await challenges.look_up("begun", "openid", now_ms)


async def test_a_log_in_with_the_old_password_that_is_being_checked_ends_with_it(
    engine: RestEngine, post: Post, monkeypatch: pytest.MonkeyPatch
):
    await register(engine, "fun")
    passwords = engine.services.passwords
    checked = passwords.matches

    async def and_meanwhile(password: str, stored: str | None, caller: str) -> bool:
        found = await checked(password, stored, caller)
        monkeypatch.undo()
        await set_new_password(engine, post, "fun", "reset")
        return found

    monkeypatch.setattr(passwords, "matches", and_meanwhile)
    problem(await log_in(engine, "fun"), 401, "unauthenticated")
    user = await engine.services.users.by_login("fun")
    assert user is not None
    assert await engine.pool.fetchval("SELECT count(*) FROM log_ins WHERE user_id = $1", user.user_id) == 0
    assert (await log_in(engine, "fun", NEW)).status_code == 200


async def test_a_mail_that_is_sent_twice_does_not_make_a_used_token_good_again(engine: RestEngine, post: Post):
    await register(engine, "flo")
    await forgot(engine, "flo@example.org")
    job = await engine.pool.fetchrow("SELECT key, payload FROM jobs WHERE key LIKE 'reset:%'")
    token = await post.token("flo@example.org")
    assert await reset(engine, token) == 204
    await engine.pool.execute("INSERT INTO jobs (kind, key, payload, run_at) VALUES ('mail', $1, $2, 0)", *job)
    await post.deliver()
    assert await reset(engine, token, "yet another horse") == 422


async def test_a_mail_that_the_server_took_late_has_a_token_that_is_good(engine: RestEngine, post: Post):
    await register(engine, "gil")
    await forgot(engine, "gil@example.org")
    job = await engine.pool.fetchrow("SELECT key, payload FROM jobs WHERE key LIKE 'reset:%'")
    # As if the first attempt had issued the token, and the server had refused the mail for an hour.
    token = await post.token("gil@example.org")
    await engine.pool.execute("UPDATE mail_tokens SET expires_at = expires_at - $1", 6 * RESET_TTL_MS)
    await engine.pool.execute("INSERT INTO jobs (kind, key, payload, run_at) VALUES ('mail', $1, $2, 0)", *job)
    await post.deliver()
    assert await reset(engine, token) == 204


async def test_a_mail_to_an_address_that_is_another_by_now_resets_nothing(engine: RestEngine, post: Post):
    await register(engine, "guy")
    await forgot(engine, "guy@example.org")
    old = await post.token("guy@example.org")
    body = {"email": "guy@new.example", "password": PASSWORD}
    token = await access_token(engine, "guy")
    assert (await engine.request("PUT", "/users/me/email", json=body, token=token)).status_code == 202
    confirming = await post.token("guy@new.example")
    assert (await engine.request("POST", "/auth/verify", json={"token": confirming})).status_code == 204
    assert await reset(engine, old) == 422
    assert (await log_in(engine, "guy")).status_code == 200


async def test_a_mail_may_be_asked_for_again_after_an_earlier_one_was_given_up(engine: RestEngine, post: Post):
    await register(engine, "gio")
    await post.deliver()
    await forgot(engine, "gio@example.org")
    await engine.pool.execute("UPDATE jobs SET dead = true, attempts = 20 WHERE key LIKE 'reset:%'")
    assert [mail.subject for mail in await post.mails("gio@example.org")] == ["Verify your e-mail address"]
    await forgot(engine, "gio@example.org")
    assert await reset(engine, await post.token("gio@example.org")) == 204


async def test_nobody_gets_mail_at_an_address_without_an_account(engine: RestEngine, post: Post):
    await forgot(engine, "stranger@example.org")
    assert await post.mails("stranger@example.org") == []
    assert await engine.pool.fetchval("SELECT count(*) FROM jobs WHERE kind = 'mail'") == 0


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("password1234", "common"), ("Password123!", "common"), ("QWERTYUIOP[]", "common"), ("123456789123", "common"),
        ("iloveyou2024", "common"), ("aaaaaaaaaaaa", "repetitive"), ("abcabcabcabc", "repetitive"),
        ("gus-12345678", "personal"), ("gus@example.org", "personal"), ("ECE 20261129", "personal"),
    ],
)  # fmt: skip
async def test_a_password_that_others_would_guess_is_refused(engine: RestEngine, password: str, reason: str):
    body = {"email": "gus@example.org", "username": "gus", "password": password}
    answer = problem(await engine.request("POST", "/auth/register", json=body), 422, "password_refused")
    assert answer["reason"] == reason
    assert password not in str(answer)


async def test_a_reset_does_not_take_a_common_password_and_its_token_stays_good(engine: RestEngine, post: Post):
    await register(engine, "hal")
    await forgot(engine, "hal@example.org")
    token = await post.token("hal@example.org")
    body = {"token": token, "new_password": "password1234"}
    problem(await engine.request("POST", "/auth/password/reset", json=body), 422, "password_refused")
    assert await reset(engine, token) == 204


async def test_a_log_in_hashes_the_password_again_when_more_work_is_set(engine: RestEngine):
    await register(engine, "ida")
    before = await engine.services.users.by_login("ida")
    harder = PasswordHasher(5)
    object.__setattr__(engine.services, "passwords", harder)
    try:
        assert (await log_in(engine, "ida")).status_code == 200
        after = await engine.services.users.by_login("ida")
        assert before is not None
        assert after is not None
        assert [str(user.password_hash)[:7] for user in (before, after)] == ["$2b$04$", "$2b$05$"]
        assert (await log_in(engine, "ida")).status_code == 200
    finally:
        harder.close()


async def test_wrong_passwords_have_to_wait_longer_and_longer_and_the_user_is_told_once(
    database_url: str, tmp_path: Path
):
    often = Limits(logins_per_minute=10_000, logins_burst=10_000)
    async with rest_engine(database_url, often) as engine:
        post = post_of(engine, tmp_path)
        await register(engine, "jan")
        await post.deliver()
        clock = [engine.services.now_ms()]
        object.__setattr__(engine.services, "now_ms", lambda: clock[0])
        waits = []
        for _ in range(PAIR_FREE + 4):
            problem(await log_in(engine, "jan", "a wrong guess"), 401, "unauthenticated")
            refused = await log_in(engine, "jan", "a wrong guess") if len(waits) >= PAIR_FREE else None
            waits.append(0 if refused is None else problem(refused, 429, "rate_limited")["retry_after_ms"])
            clock[0] += waits[-1]
        assert waits == [0] * PAIR_FREE + [1_000, 2_000, 4_000, 8_000]
        assert (await log_in(engine, "jan")).status_code == 200
        subjects = [mail.subject for mail in await post.mails("jan@example.org")]
        assert subjects.count("Wrong passwords for your account") == 1
        acts = [entry.action for entry in await engine.services.audit.page(Filter(), 50)]
        assert acts.count("login.delayed") == 1


async def test_where_too_many_log_in_the_answer_comes_before_all_other_work(
    engine: RestEngine, monkeypatch: pytest.MonkeyPatch
):
    def busy(_caller: str) -> None:
        raise PasswordsBusy(6_100)

    monkeypatch.setattr(engine.services.passwords, "check_room", busy)
    for path in ("/auth/login", "/auth/register"):
        answer = await engine.request("POST", path, json={"not": "even looked at"})
        assert problem(answer, 503, "overloaded")["retry_after_ms"] == 6_100
        assert answer.headers["Retry-After"] == "7"
        assert "RateLimit" not in answer.headers
    monkeypatch.undo()
    assert (await engine.request("POST", "/auth/login", json={"not": "right"})).status_code == 422


async def test_who_is_guessed_elsewhere_logs_in_from_their_own_address(database_url: str):
    often = Limits(logins_per_minute=10_000, logins_burst=10_000)
    async with rest_engine(database_url, often) as engine:
        await register(engine, "kim")
        failures, now = engine.services.accounts.failures, engine.services.now_ms()
        for n in range(200):
            await failures.failed(Attempt("kim", f"10.0.0.{n % 50}"), now - 61_000)
        # The delay of the account is a minute at most, whatever is tried.
        assert (await log_in(engine, "kim")).status_code == 200


async def test_failures_at_the_name_and_at_the_address_of_a_user_count_together(database_url: str):
    often = Limits(logins_per_minute=10_000, logins_burst=10_000, attempts_per_minute=10_000, attempts_burst=10_000)
    async with rest_engine(database_url, often) as engine:
        await register(engine, "lea")
        user = await engine.services.users.by_login("lea")
        assert user is not None
        failures, now = engine.services.accounts.failures, engine.services.now_ms()
        for n in range(ACCOUNT_FREE):
            await failures.failed(Attempt("lea", f"10.0.0.{n}", user.user_id), now)
        problem(await log_in(engine, "lea@example.org", "a wrong guess"), 401, "unauthenticated")
        for login in ("lea", "lea@example.org"):
            problem(await log_in(engine, login), 429, "rate_limited")


async def test_passwords_that_are_guessed_within_a_session_are_delayed_as_well(database_url: str):
    often = Limits(logins_per_minute=10_000, logins_burst=10_000)
    async with rest_engine(database_url, often) as engine:
        await register(engine, "mia")
        token = (await log_in(engine, "mia")).json()["access_token"]
        guesses = [
            await engine.request("POST", "/auth/second-factor/verify", json={"password": f"guess {n}"}, token=token)
            for n in range(PAIR_FREE + 2)
        ]
        assert [guess.status_code for guess in guesses] == [403] * (PAIR_FREE + 1) + [429]
        user = await engine.services.users.by_login("mia")
        assert user is not None
        count = "SELECT count(*) FROM audit_entries WHERE action = 'password.wrong' AND actor_id = $1"
        assert await engine.pool.fetchval(count, user.user_id) == PAIR_FREE + 1
