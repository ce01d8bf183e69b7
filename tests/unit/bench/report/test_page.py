"""The page of a report."""

import re
from html.parser import HTMLParser

import msgspec
import pytest
from reports import stored
from test_slo import LOSS

from bench.definition import BenchFailed
from bench.report.page import page
from bench.report.result import Result, read, write

VOID = {"meta", "link", "br", "input", "img", "hr"}


class Document(HTMLParser):
    """Checks the nesting, and collects ids and what refers to something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("src", "href", "action", "xlink:href"):
                self.references.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def html() -> str:
    return page(stored())


def test_the_page_is_well_formed_and_no_id_is_there_twice(html):
    document = Document(html)
    assert document.open == []
    assert len(document.ids) == len(set(document.ids))
    assert {"h1", "table", "figure", "svg", "title", "desc"} <= document.tags


def test_the_page_needs_nothing_from_outside(html):
    assert [one for one in Document(html).references if not one.startswith(("#", "data:"))] == []
    assert not re.search(r"@import|<script|url\((?!#)", html)
    # Names of the formats, which nobody fetches.
    assert set(re.findall(r"https?://[^\"'\s<]+", html)) <= {
        "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink",
    }  # fmt: skip


def test_every_reference_inside_the_page_has_its_target(html):
    ids = set(Document(html).ids)
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', html)) <= ids
    named = re.findall(r'aria-labelledby="([^"]+)"', html)
    assert {name for names in named for name in names.split()} <= ids


def test_charts_have_text_as_text_a_description_and_the_colours_of_the_page(html):
    assert "time since the start of the load</text>" in html
    assert "<desc" in html
    assert "p50: 5.062 to 5.062; p90: 15 to 15" in html
    assert "var(--series-1)" in html
    assert not re.search(r"#0[123]0[123]0[0-9]", html)


def test_what_is_shown_is_escaped(html):
    assert "8 GiB &lt;b&gt;" in html


def test_the_verdict_stands_at_the_top():
    assert 'class="verdict good">All objectives met, nothing lost<' in page(stored())
    failed = page(stored(LOSS))
    assert 'class="verdict bad">1 acknowledged bid is lost<' in failed
    assert "an acknowledged bid is missing" in failed


def test_a_report_is_stored_and_read_again(tmp_path):
    write(stored(), tmp_path / "report.json")
    assert read(tmp_path / "report.json") == stored()
    assert msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Result).profile == "smoke"


def test_what_is_no_report_is_refused(tmp_path):
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(BenchFailed, match="is not a report that can be shown"):
        read(tmp_path / "report.json")
