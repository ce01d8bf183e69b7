"""What is logged of refused requests and of what operators read, and what is not: nothing that a client sent."""

from typing import Any

from structlog.testing import capture_logs

from tests.rest.rest_engine import RestEngine


async def logged(engine: RestEngine, method: str, path: str, **request: Any) -> list[dict[str, Any]]:
    """What this request leaves in the log, without what says how important it is."""
    with capture_logs() as entries:
        await engine.request(method, path, **request)
    return [{name: value for name, value in entry.items() if name != "log_level"} for entry in entries]


async def test_a_refused_token_or_key_is_logged_without_it(engine: RestEngine):
    ann, entry = await engine.person(), {"event": "token_refused", "reason": "TokenInvalid", "address": "127.0.0.1"}
    for token in (f"{ann.token}x", "ece_" + "A" * 43, "nonsense"):
        assert await logged(engine, "GET", "/users/me", token=token) == [entry]
    assert await logged(engine, "GET", "/users/me", token=ann.token) == []


async def test_the_token_of_an_ended_session_is_logged_and_an_expired_one_is_not(engine: RestEngine):
    ann = await engine.person()
    session = engine.services.tokens.verify(ann.token, engine.services.now_ms() // 1000).session
    engine.services.credentials.changes.end([session])
    entries = await logged(engine, "GET", "/users/me", token=ann.token)
    assert [entry["reason"] for entry in entries] == ["TokenRevoked"]
    expired = engine.services.tokens.issue(1, "ann", ("collector",), engine.services.now_ms() // 1000 - 901)
    assert await logged(engine, "GET", "/users/me", token=expired) == []


async def test_invalid_requests_are_logged_by_route_and_kind_of_fault(engine: RestEngine):
    secret = "a-secret-in-the-wrong-place"
    body = {"login": 5, "password": secret, secret: secret}
    assert await logged(engine, "POST", "/auth/login", json=body) == [
        {
            "event": "request_invalid", "path": "/api/v1/auth/login", "faults": ["extra_forbidden", "string_type"],
            "address": "127.0.0.1",
        }
    ]  # fmt: skip


async def test_what_operators_read_is_logged_and_what_they_change_is_in_the_trail(engine: RestEngine):
    boss, ann = await engine.person(role="admin"), await engine.person()
    assert await logged(engine, "GET", f"/admin/users/{ann.name}/roles", token=boss.token) == [
        {"event": "operator_read", "user": boss.name, "route": "roles", "parameters": {"username": ann.name}}
    ]
    suspended = {"reason": "test"}
    path = f"/admin/users/{ann.name}/suspend"
    assert await logged(engine, "POST", path, token=boss.token, key="k", json=suspended) == []
