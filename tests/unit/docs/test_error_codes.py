"""Every error is what the catalogue (domain/errors.py), the docs and both wires say that it is."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from auction_requests import refused
from test_docs import AUCTION_ID, MESSAGES, NOW, ROOT, SCHEMAS, Served, codec, faults, table

from actors.stream.messages import MOVED, Refused
from domain.auction import refusal
from domain.errors import ERRORS, INTERNAL_ERROR, INVALID_FRAME, KEY_REUSED, UNAVAILABLE
from domain.ids import id_text
from gateway.http import error_catalogue
from gateway.http.problems import Problem, refusal_problem
from gateway.wire.codec import Codec

__all__ = ["codec"]

# Between a host and its gateways, or within the engine: clients never hear of them.
INTERNAL_CODES = {MOVED, refusal.NOT_SOLD, "migration_failed"}
SOCKET = {code: error for code, error in ERRORS.items() if error.socket}
REST = {code: error for code, error in ERRORS.items() if error.status is not None}
# What a host says, by the names of its fields, which are those of all errors that are built from it.
DECIDED_ON = {
    "price": 2_000_000, "minimum": 2_250_000, "retry_after_ms": 700, "available": 1_000_000, "required": 5_000_000,
    "version": 3, "draft": 2,
}  # fmt: skip
SOURCES = sorted(
    path for name in ("domain", "persistence", "actors", "gateway") for path in (ROOT / name).rglob("*.py")
)


def promised(cell: str) -> set[str]:
    """The names of fields in a cell of a table."""
    return set(cell.replace("`", "").replace(",", " ").split())


def of_catalogue(code: str) -> set[str]:
    error = ERRORS[code]
    return {*error.fields, *(() if error.retry_after_ms is None else ("retry_after_ms",))}


def test_the_docs_have_the_codes_statuses_and_fields_of_the_catalogue() -> None:
    socket, rest = table("### Error codes"), table("### Problems")
    # Every error of the socket has `server_time`, which the table does not repeat.
    assert {code: promised(row[0]) for code, row in socket.items()} == {
        code: of_catalogue(code) - {"server_time"} for code in SOCKET
    }
    assert {code: (int(row[0]), promised(row[1])) for code, row in rest.items()} == {
        code: (error.status, of_catalogue(code)) for code, error in REST.items()
    }
    described = SCHEMAS["ErrorCode"]
    assert set(described["enum"]) == set(SOCKET)
    assert {code: set(about["fields"]) for code, about in described["x-codes"].items()} == {
        code: promised(row[0]) for code, row in socket.items()
    }


def test_the_page_of_errors_is_made_from_the_catalogue() -> None:
    """``python -m gateway.http.error_catalogue > docs/errors.md``"""
    assert (ROOT / "docs/errors.md").read_text() == error_catalogue.page()


def test_every_error_says_what_to_do() -> None:
    for one in error_catalogue.catalogue():
        assert one.type == f"urn:ece:problem:{one.code}"
        assert one.action.endswith(".")
        assert (one.retry == "same key") == ERRORS[one.code].outcome_unknown
    assert set(error_catalogue.ACTIONS) <= set(ERRORS)


def test_the_docs_say_which_errors_leave_open_what_happened() -> None:
    happened = {code: "unknown" if error.outcome_unknown else "nothing" for code, error in SOCKET.items()}
    assert {code: row[2] for code, row in table("### Error codes").items()} == happened
    assert {code: about["happened"] for code, about in SCHEMAS["ErrorCode"]["x-codes"].items()} == happened
    assert {code for code, error in ERRORS.items() if error.outcome_unknown} == {UNAVAILABLE, INTERNAL_ERROR}


def as_decided(code: str) -> tuple[Refused, dict[str, Any]]:
    """What a host refuses with this code, and what a client has to be told beside code and text."""
    known = {name: value for name, value in DECIDED_ON.items() if name in of_catalogue(code)}
    return refused(code, NOW, **known), {"server_time": NOW} | known


def from_hosts(codes: dict[str, Any]) -> list[str]:
    return sorted(code for code in codes if of_catalogue(code) <= {*DECIDED_ON, "server_time"})


@pytest.mark.parametrize("code", from_hosts(SOCKET))
async def test_the_socket_sends_all_that_a_host_decided_on(codec: Codec, code: str) -> None:
    decided, told = as_decided(code)
    served = Served(codec, decided)
    await served.greet()
    served.say(op="bid", id="b", auction=id_text(AUCTION_ID), amount=5_000_000, key="k1")
    (frame,) = await served.heard(1)
    assert faults("Failure", frame) == []
    assert frame["error"] == {"code": code, "message": ERRORS[code].text} | told


@pytest.mark.parametrize("code", from_hosts(REST))
def test_rest_sends_all_that_a_host_decided_on(code: str) -> None:
    decided, told = as_decided(code)
    problem = refusal_problem(decided)
    status = ERRORS[code].status
    standard = {"type": f"urn:ece:problem:{code}", "title": code.replace("_", " ").capitalize(), "status": status}
    assert json.loads(problem.body()) == standard | {"detail": ERRORS[code].text, "code": code} | told
    assert problem.status == status
    assert ("Retry-After" in problem.headers) == ("retry_after_ms" in told)


async def test_a_key_that_is_used_again_is_an_invalid_frame_on_the_socket(codec: Codec) -> None:
    served = Served(codec, refused(KEY_REUSED, NOW))
    await served.greet()
    served.say(op="bid", id="b", auction=id_text(AUCTION_ID), amount=5_000_000, key="k1")
    (frame,) = await served.heard(1)
    assert frame["error"] == {"code": INVALID_FRAME, "message": ERRORS[KEY_REUSED].text, "server_time": NOW}


async def test_a_code_that_only_newer_hosts_know_is_unavailable(codec: Codec) -> None:
    served = Served(codec, refused("unheard_of", NOW))
    await served.greet()
    served.say(op="bid", id="b", auction=id_text(AUCTION_ID), amount=5_000_000, key="k1")
    (frame,) = await served.heard(1)
    assert frame["error"] == {
        "code": UNAVAILABLE, "message": ERRORS[UNAVAILABLE].text, "server_time": NOW, "retry_after_ms": 500
    }  # fmt: skip
    assert refusal_problem(refused("unheard_of", NOW)).code == UNAVAILABLE


def test_an_error_that_is_to_be_sent_again_always_says_when() -> None:
    for code, error in REST.items():
        if error.retry_after_ms is not None:
            assert json.loads(Problem(code).body())["retry_after_ms"] == error.retry_after_ms
            assert int(Problem(code).headers["Retry-After"]) >= 1


# -- the program


def name_of(node: ast.expr) -> str | None:
    """The code that an argument is: a literal, or a constant of the catalogue."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
    return name.lower() if name is not None and name.isupper() else None


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            function = node.func
            yield function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", ""), node


def test_every_code_in_the_program_is_one_of_the_catalogue() -> None:
    used = set()
    for path in SOURCES:
        for function, call in calls(path):
            place = {"Problem": 0, "InvalidRequest": 0, "RequestFailed": 0, "Refused": 0, "fail": 2}.get(function)
            code = None if place is None or len(call.args) <= place else name_of(call.args[place])
            used |= {code} - {None}
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                used |= {str(node.value.value) for target in node.targets if getattr(target, "id", "") == "code"}
    assert used - INTERNAL_CODES - set(ERRORS) == set()
    assert len(used) > 20


def test_every_problem_is_made_with_the_fields_of_its_code() -> None:
    lacking = []
    for path in SOURCES:
        for function, call in calls(path):
            code = name_of(call.args[0]) if function in ("Problem", "InvalidRequest") and call.args else None
            given = {keyword.arg for keyword in call.keywords}
            if code in ERRORS and None not in given and not set(ERRORS[code].fields) <= given:
                lacking.append(f"{path.relative_to(ROOT)}:{call.lineno} {code}")
    assert lacking == []


def test_each_example_of_an_error_has_the_fields_of_its_code() -> None:
    for example in MESSAGES["failure"]["examples"]:
        error = example["payload"]["error"]
        assert of_catalogue(error["code"]) <= set(error), error
