"""Every route and every operation names what it needs, and docs/permissions.md has the same table as the code."""

from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi import APIRouter

from domain.permissions import GRANTABLE, MEANINGS, ROLES, SCOPES, SUSPENDED, Access, Permission, permissions_of
from ece.commands.roles import RoleName
from gateway.rest.callers import Bidder
from gateway.rest.roles.routes import Role
from gateway.rest.routing import api_router
from gateway.websocket.operations.table import OPERATIONS
from tests.rest.rest_engine import RestEngine
from tests.rest.roles.permission_tables import METHODS, PREFIX, role_table, route_table

PAGE = Path(__file__).parents[3] / "docs/permissions.md"
KNOWN = {one.value for one in (*Access, *Permission)}


def routes(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith(PREFIX) and method in METHODS
    ]


async def test_every_route_names_what_it_needs_also_in_its_description(engine: RestEngine):
    found = routes(engine.app.openapi())
    assert len(found) > 100
    for method, path, operation in found:
        needed = operation.get("x-permission")
        assert needed in KNOWN, f"{method} {path}"
        assert operation["description"].endswith(f"Needs: `{needed}`."), f"{method} {path}"
        assert operation["description"].count("Needs: ") == 1


def test_every_operation_of_the_socket_names_what_it_needs():
    assert {operation.op: operation.needs for operation in OPERATIONS if operation.needs.value not in KNOWN} == {}
    public = {operation.op for operation in OPERATIONS if operation.needs is Access.PUBLIC}
    assert public == {"hello", "ping", "subscribe", "unsubscribe"}


def test_a_route_that_names_nothing_is_no_route():
    async def forgotten() -> None:
        """Nobody said who may call this."""

    async def bid(bidder: Bidder) -> None:
        """Somebody did."""

    router: APIRouter = api_router("test")
    with pytest.raises(TypeError, match="names no permission"):
        router.add_api_route("/forgotten", forgotten)
    router.add_api_route("/bid", bid)


async def test_somebody_without_roles_may_do_nothing_that_needs_a_permission(engine: RestEngine):
    user = (await engine.services.users.provision(["norole"]))["norole"]
    token = engine.services.tokens.issue(user.user_id, "norole", (), engine.services.now_ms() // 1000)
    refused = 0
    for method, path, operation in routes(engine.app.openapi()):
        answer = await engine.request(method.upper(), f"http://ece{path}", token=token, key="k", json={})
        if operation["x-permission"] not in ("public", "signed-in"):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), f"{method} {path}"
            refused += 1
        else:
            assert answer.status_code != 403 or answer.json()["detail"] != "this needs the permission", path
    assert refused > 80


def test_the_tables_of_the_code_fit_together():
    assert set(MEANINGS) == set(Permission)
    assert get_args(Role) == GRANTABLE
    assert get_args(RoleName) == GRANTABLE
    assert set(ROLES) == {*GRANTABLE, SUSPENDED}
    assert Permission.ROLES not in SCOPES
    assert permissions_of(frozenset({"nonsense"})) == frozenset()
    assert permissions_of(frozenset({"admin"})) == frozenset(Permission) - {Permission.UNLIMITED}


async def test_the_page_has_the_table_of_the_code(engine: RestEngine):
    lines = PAGE.read_text().splitlines()
    for wanted in (role_table(), route_table(engine.app.openapi())):
        start = lines.index(wanted[0])
        end = next((n for n in range(start, len(lines)) if not lines[n].startswith("|")), len(lines))
        assert lines[start:end] == wanted
