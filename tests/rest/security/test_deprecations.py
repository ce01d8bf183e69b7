"""A route that will go says so in each of its answers; errors are listed for clients."""

import pytest
from fastapi import FastAPI

from domain.errors import ERRORS
from gateway.rest import routing
from gateway.rest.callers import PUBLIC
from gateway.rest.deprecations import DAY_S, NOTICE_DAYS, Deprecated
from tests.rest.rest_engine import RestEngine, rest_engine

SINCE_S = 1_800_000_000
ENDING = Deprecated(SINCE_S, SINCE_S + NOTICE_DAYS * DAY_S, "https://cards.example/docs/changes")


async def test_every_answer_of_a_deprecated_route_has_its_end(database_url: str, monkeypatch: pytest.MonkeyPatch):
    endings = {("GET", "/api/v1/fees"): ENDING, ("POST", "/api/v1/mints"): ENDING}
    monkeypatch.setattr(routing, "DEPRECATED", endings)
    async with rest_engine(database_url) as engine:
        listed, refused = await engine.http.get("/fees"), await engine.request("POST", "/mints", json={})
        assert (listed.status_code, refused.status_code) == (200, 401)
        for answer in (listed, refused):
            assert answer.headers["deprecation"] == "@1800000000"
            assert answer.headers["sunset"] == "Wed, 14 Jul 2027 08:00:00 GMT"
            assert answer.headers["link"] == '<https://cards.example/docs/changes>; rel="deprecation"'
        others = await engine.http.get("/catalog/sets")
        assert "deprecation" not in others.headers


def test_openapi_marks_what_will_go(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(routing, "DEPRECATED", {("GET", "/api/v1/old"): ENDING})
    app, router = FastAPI(), routing.api_router("x")
    router.add_api_route("/old", lambda: None, methods=["GET"], dependencies=[PUBLIC])
    router.add_api_route("/new", lambda: None, methods=["GET"], dependencies=[PUBLIC])
    app.include_router(router)
    paths = app.openapi()["paths"]
    assert paths["/api/v1/old"]["get"]["deprecated"] is True
    assert "deprecated" not in paths["/api/v1/new"]["get"]


def test_nothing_ends_without_notice():
    with pytest.raises(ValueError, match="180 days"):
        Deprecated(SINCE_S, SINCE_S + DAY_S, "https://cards.example")


async def test_the_catalogue_is_served(engine: RestEngine):
    items = (await engine.http.get("/errors")).json()["items"]
    assert [one["code"] for one in items] == sorted(ERRORS)
    (low,) = [one for one in items if one["code"] == "bid_too_low"]
    assert (low["status"], low["type"], low["fields"]) == (
        409, "urn:ece:problem:bid_too_low", ["server_time", "price", "minimum"],
    )  # fmt: skip
