"""What a page needs is asked for with its document, and once."""

import re
from collections.abc import Callable

import pytest
from browsers import Person
from cards import Curator
from playwright.sync_api import Request, expect

from gateway.web.pages import DATA

pytestmark = pytest.mark.timeout(400)


@pytest.mark.parametrize("page", DATA)
def test_what_is_preloaded_is_what_the_page_asks_for(person: Callable[..., Person], curator: Curator, page: str):
    ann, card = person(), curator.card("First Finch")
    expected = sorted(path.format(card=card) for path in DATA[page])
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(re.sub("^https?://[^/]+", "", request.url))

    ann.page.on("request", note)
    answer = ann.page.goto(page.format(card=card))
    assert answer is not None
    scripts = re.findall(r"</(assets/[^>]+\.js)>; rel=modulepreload", answer.headers["link"])
    assert scripts, "the build names none"
    expect(ann.page.get_by_role("heading", level=1)).to_be_visible()
    expect(ann.page.locator("[aria-busy=true]")).to_have_count(0)
    ann.page.wait_for_load_state("networkidle")
    assert sorted(one for one in asked if one in expected) == expected
    assert {f"/{script}" for script in scripts} <= set(asked)
    assert len(asked) == len(set(asked)), sorted(one for one in asked if asked.count(one) > 1)
