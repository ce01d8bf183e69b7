import asyncio

import pyotp
import pytest

from chain.wallets.cipher import KeyCipher
from domain.ids import id_text
from domain.wallets.second_factor import ATTEMPTS_MAX, LOCK_MS, STEP_MS
from gateway.identity.attempts import TooManyAttempts
from gateway.identity.second_factor import FactorState, SecondFactorCheck, SecondFactorError
from gateway.rest.identity.bodies import CODE_LENGTH_MAX
from persistence.identity.store import UserStore
from persistence.postgres.pool import Pool
from persistence.wallets.second_factors import SecondFactors

NOW = 1_800_000_000_000
CIPHER = KeyCipher(lambda: ["s" * 40])


def code(secret: str, at_ms: int) -> str:
    return pyotp.TOTP(secret).at(at_ms // 1000)


def wrong(right: str) -> str:
    return f"{(int(right) + 1) % 1_000_000:06}"


async def enrolled(pool: Pool, name: str) -> tuple[int, SecondFactorCheck, str, list[str]]:
    user = (await UserStore(pool).create(name, f"{name}@example.org", "hash")).user_id
    check = SecondFactorCheck(SecondFactors(pool), CIPHER)
    secret = (await check.begin(user, name, NOW)).secret
    return user, check, secret, await check.confirm(user, code(secret, NOW), NOW)


async def refused(attempt: object) -> str:
    with pytest.raises(SecondFactorError) as caught:
        await attempt  # type: ignore[misc]
    return caught.value.code


async def test_a_code_is_required_once_the_first_one_was_right(pool: Pool):
    user = (await UserStore(pool).create("ann", "ann@example.org", "hash")).user_id
    check = SecondFactorCheck(SecondFactors(pool), CIPHER)
    await check.check(user, None, NOW)
    made = await check.begin(user, "ann", NOW)
    assert made.uri.startswith("otpauth://totp/ECE:ann?secret=")
    assert await check.state(user) == FactorState("pending", 0)
    await check.check(user, None, NOW)
    assert await refused(check.confirm(user, wrong(code(made.secret, NOW)), NOW)) == "second_factor_invalid"
    codes = await check.confirm(user, code(made.secret, NOW), NOW)
    assert len(set(codes)) == 10
    assert await check.state(user) == FactorState("on", 10)
    assert await refused(check.check(user, None, NOW)) == "second_factor_required"
    assert await refused(check.begin(user, "ann", NOW)) == "second_factor_on"
    assert await refused(check.confirm(user, code(made.secret, NOW), NOW)) == "second_factor_on"


async def test_beginning_again_replaces_what_was_not_confirmed(pool: Pool):
    user = (await UserStore(pool).create("bob", "bob@example.org", "hash")).user_id
    check = SecondFactorCheck(SecondFactors(pool), CIPHER)
    first, second = [(await check.begin(user, "bob", NOW)).secret for _ in range(2)]
    assert await refused(check.confirm(user, code(first, NOW), NOW)) == "second_factor_invalid"
    assert len(await check.confirm(user, code(second, NOW), NOW)) == 10


async def test_a_code_is_good_once_however_many_send_it_at_once(pool: Pool):
    user, check, secret, _ = await enrolled(pool, "cleo")
    assert await refused(check.check(user, code(secret, NOW), NOW)) == "second_factor_invalid"
    later = NOW + STEP_MS
    attempts = [check.check(user, code(secret, later), later) for _ in range(4)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert [outcome for outcome in outcomes if outcome is True] == [True]
    assert await refused(check.check(user, code(secret, NOW), later)) == "second_factor_invalid"


async def test_clocks_may_differ_by_one_step_and_no_more(pool: Pool):
    user, check, secret, _ = await enrolled(pool, "dan")
    assert await refused(check.check(user, code(secret, NOW + 2 * STEP_MS), NOW)) == "second_factor_invalid"
    await check.check(user, code(secret, NOW + STEP_MS), NOW)
    later = NOW + 10 * STEP_MS
    assert await refused(check.check(user, code(secret, later - 2 * STEP_MS), later)) == "second_factor_invalid"
    await check.check(user, code(secret, later - STEP_MS), later)


async def test_wrong_codes_lock_it_for_a_time_also_many_at_once(pool: Pool):
    user, check, secret, codes = await enrolled(pool, "edda")
    later = NOW + 2 * STEP_MS
    tries = [check.check(user, wrong(code(secret, later)), later) for _ in range(3 * ATTEMPTS_MAX)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, SecondFactorError) for outcome in outcomes) == ATTEMPTS_MAX
    assert sum(isinstance(outcome, TooManyAttempts) for outcome in outcomes) == 2 * ATTEMPTS_MAX
    for one in (code(secret, later), codes[0]):
        with pytest.raises(TooManyAttempts) as locked:
            await check.check(user, one, later + 1)
        assert locked.value.retry_after_ms == LOCK_MS - 1
    after = later + LOCK_MS
    assert await refused(check.check(user, wrong(code(secret, after)), after)) == "second_factor_invalid"
    await check.check(user, code(secret, after), after)


async def test_a_recovery_code_is_good_once_in_any_case(pool: Pool):
    user, check, _, codes = await enrolled(pool, "finn")
    await check.check(user, codes[0].upper().replace("-", " "), NOW)
    assert await check.state(user) == FactorState("on", 9)
    assert await refused(check.check(user, codes[0], NOW)) == "second_factor_invalid"
    other, check_other, _, _ = await enrolled(pool, "gus")
    assert await refused(check_other.check(other, codes[1], NOW)) == "second_factor_invalid"


async def test_recovery_codes_have_120_random_bits_and_go_into_the_fields_of_codes(pool: Pool):
    _, _, _, codes = await enrolled(pool, "gina")
    assert {len(code.replace("-", "")) * 5 for code in codes} == {120}
    assert all(len(code) <= CODE_LENGTH_MAX for code in codes)


async def test_a_code_that_is_used_again_is_noted_and_its_user_is_mailed(pool: Pool):
    user, check, secret, codes = await enrolled(pool, "greta")
    later = NOW + STEP_MS

    async def noted() -> tuple[int, int]:
        """(entries of the audit trail, mails)."""
        acts = "SELECT count(*) FROM audit_entries WHERE actor_id = $1 AND action = 'second_factor.code_used_again'"
        mails = "SELECT count(*) FROM jobs WHERE key LIKE 'code_used_again:%' AND convert_from(payload, 'UTF8') LIKE $1"
        return await pool.fetchval(acts, user), await pool.fetchval(mails, f"%{id_text(user)}%")

    assert await refused(check.check(user, wrong(code(secret, later)), later)) == "second_factor_invalid"
    await check.check(user, codes[0], later)
    assert await refused(check.check(user, codes[0], later)) == "second_factor_invalid"
    await check.check(user, code(secret, later), later)
    assert await noted() == (0, 0)
    # The same again, then the one before, which is as old.
    assert await refused(check.check(user, code(secret, later), later)) == "second_factor_invalid"
    assert await refused(check.check(user, code(secret, NOW), later)) == "second_factor_invalid"
    assert await noted() == (2, 2)


async def test_disabling_needs_a_code_and_removes_everything(pool: Pool):
    user, check, secret, _ = await enrolled(pool, "hal")
    later = NOW + STEP_MS
    assert await refused(check.disable(user, wrong(code(secret, later)), later)) == "second_factor_invalid"
    await check.disable(user, code(secret, later), later)
    assert await check.state(user) == FactorState("off", 0)
    await check.check(user, None, later)
    assert await refused(check.disable(user, code(secret, later), later)) == "second_factor_off"
    assert await pool.fetchval("SELECT count(*) FROM recovery_codes WHERE user_id = $1", user) == 0


async def test_secrets_and_codes_are_not_stored_in_plain(pool: Pool):
    user, _, secret, codes = await enrolled(pool, "ida")
    (row,) = await pool.fetch("SELECT sealed FROM second_factors WHERE user_id = $1", user)
    hashes = [row[0] for row in await pool.fetch("SELECT code_hash FROM recovery_codes WHERE user_id = $1", user)]
    assert secret.encode() not in row[0]
    assert not any(one.encode() in stored for one in codes for stored in hashes)
