import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from ece.logs import configure_logs, mask_secrets, mask_text


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs("info", "auto", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def masked(**event: object) -> dict[str, object]:
    return dict(mask_secrets(None, "info", event))


@pytest.mark.parametrize(
    "name", ["password", "new_password", "token", "access_token", "jwt_secret", "Authorization", "cookie", "api_key"]
)
def test_what_stands_under_a_secret_name_is_masked(name):
    assert masked(**{name: "hunter2"}) == {name: "***"}


def test_counts_under_such_names_stay():
    assert masked(tokens=3, token_valid=True) == {"tokens": 3, "token_valid": True}


def test_secrets_are_found_however_deep():
    event = masked(request={"headers": [{"authorization": "Bearer abc"}], "path": "/x"})
    assert event == {"request": {"headers": [{"authorization": "***"}], "path": "/x"}}


def test_a_structure_without_bottom_is_cut():
    endless: dict[str, object] = {}
    endless["again"] = endless
    assert "***" in str(masked(endless=endless))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:hunter2@db/ece", "postgresql://ann:***@db/ece"),
        ("redis://:hunter2@cache:6379/0", "redis://:***@cache:6379/0"),
        ("postgresql://db/ece?user=ann&password=hunter2&x=1", "postgresql://db/ece?user=ann&password=***&x=1"),
        ("sent Authorization: Bearer abc.def", "sent Authorization: Bearer ***"),
        ("got eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl!", "got ***!"),
        ("postgresql://postgres@/ece?host=/tmp/ece", "postgresql://postgres@/ece?host=/tmp/ece"),
    ],
)
def test_secrets_inside_a_text_are_masked(text, shown):
    assert mask_text(text) == shown


def test_without_a_terminal_each_line_is_json_also_for_other_libraries(logged):
    structlog.get_logger("engine").info("connected", url="redis://:hunter2@cache")
    logging.getLogger("library").warning("no %s", "redis://:hunter2@cache")
    first, second = (json.loads(line) for line in logged.getvalue().splitlines())
    assert (first["event"], first["url"], first["logger"]) == ("connected", "redis://:***@cache", "engine")
    assert (second["event"], second["level"]) == ("no redis://:***@cache", "warning")


def test_a_trace_which_quotes_a_secret_is_masked_too(logged):
    try:
        raise ValueError("postgresql://ann:hunter2@db")
    except ValueError:
        structlog.get_logger("engine").exception("failed")
    assert "hunter2" not in logged.getvalue()
    assert "ValueError" in logged.getvalue()


def test_lines_below_the_level_are_left_out(logged):
    structlog.get_logger("engine").debug("too much")
    assert logged.getvalue() == ""


def test_requests_to_services_are_not_logged_one_by_one(logged: io.StringIO):
    logging.getLogger("httpx").info("HTTP Request: %s", "http://127.0.0.1:5001")
    assert logged.getvalue() == ""
