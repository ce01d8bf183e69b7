"""What the tests of log-ins share."""

import itertools
from dataclasses import dataclass
from typing import Any

import pyotp

from domain.ids import parse_id
from domain.wallets.second_factor import STEP_MS
from tests.rest.rest_engine import PASSWORD, Person, RestEngine

_numbers = itertools.count(1)


async def registered(engine: RestEngine) -> Person:
    """Someone with a password."""
    name = f"someone-{next(_numbers)}"
    body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD}
    made = await engine.request("POST", "/auth/register", json=body)
    assert made.status_code == 201, made.text
    answer = await engine.request("POST", "/auth/login", json={"login": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return Person(engine, made.json()["user"]["id"], name, answer.json()["access_token"])


async def proved(person: Person, password: str = PASSWORD) -> None:
    """The person gives the password again, in this session."""
    answer = await person.post("/auth/second-factor/verify", {"password": password})
    assert answer.status_code == 204, answer.text


@dataclass
class Factor:
    """A second factor that is on, and its recovery codes. ``code`` of a later step each time: each is good once."""

    totp: pyotp.TOTP
    recovery_codes: list[str]
    step: int

    def code(self) -> str:
        self.step += 1
        return self.totp.at(self.step * STEP_MS // 1000)


async def second_factor(engine: RestEngine, person: Person) -> Factor:
    check, user = engine.services.wallets.second_factor, parse_id(person.id)
    now_ms = engine.services.now_ms()
    totp = pyotp.TOTP((await check.begin(user, person.name, now_ms)).secret)
    step = now_ms // STEP_MS - 1
    codes = await check.confirm(user, totp.at(step * STEP_MS // 1000), now_ms)
    return Factor(totp, codes, step)


async def audited(engine: RestEngine, person: Person) -> list[str]:
    rows = await engine.pool.fetch(
        "SELECT action FROM audit_entries WHERE actor_id = $1 ORDER BY entry_id", parse_id(person.id)
    )
    return [row["action"] for row in rows]


async def me(engine: RestEngine, tokens: dict[str, Any]) -> dict[str, Any]:
    answer = await engine.request("GET", "/users/me", token=tokens["access_token"])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def failed_by(engine: RestEngine, way: str) -> int:
    """How many log-ins by this way the audit trail says have failed."""
    statement = "SELECT count(*) FROM audit_entries WHERE action = 'login.failed' AND subject = $1"
    return int(await engine.pool.fetchval(statement, way))
