"""docs/glossary.md has the engine's terms, each is in use, and words that were replaced by terms do not come back."""

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[3]
GLOSSARY = ROOT / "docs/glossary.md"
CODE = ("actors", "bench", "chain", "domain", "ece", "gateway", "persistence")
# Words that were replaced, with the term that took their place. They may not be in the documentation, nor in names of
# modules, classes, functions and variables.
REPLACED = {
    "allowance": "token bucket",
    "calm": "idle",
    "chores": "maintenance",
    "conductor": "Ray driver",
    "farewell": "message",
    "foreseen": "decision",
    "housekeeping": "maintenance",
    "hurry": "shorten the deadline",
    "keeper": "entity",
    "keephouse": "maintenance",
    "lookout": "membership",
    "mistaken": "invalid request",
    "muster": "reconciler",
    "narration": "stderr",
    "newsroom": "update publisher",
    "papers": "docs",
    "pulse": "load report",
    "rival": "baseline",
    "solo": "dedicated host",
    "strike": "violation",
    "struck off": "removed",
    "tame": "tune",
    "tidings": "outbox",
    "turned away": "rejected",
    "vitals": "load report",
    "watchdog": "cleanup process",
}
# Ordinary words that were names of terms. Text may have them, names may not.
NOT_IN_NAMES = {
    "anew": "again",
    "beside": "in addition",
    "cover": "reserve",
    "covered": "reserved",
    "doubt": "duplicate look-up",
    "doubtful": "unknown",
    "elsewhere": "excluded",
    "heard": "received",
    "heat": "rate",
    "keeps": "owns",
    "let go": "release",
    "news": "update",
    "said": "report",
    "say": "notify",
    "take back": "reacquire",
    "tell": "report",
    "told": "notified",
    "trial": "decision",
    "uncovered": "without holds",
    "under way": "in flight",
    "wish": "override",
    "wished": "requested",
}


def pages() -> list[Path]:
    return [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def modules(folders: Iterable[str]) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def entries(text: str = GLOSSARY.read_text()) -> list[str]:
    return re.findall(r"^\| (?!term \|)(\w[\w -]*?) \|", text, re.MULTILINE)


def squeezed(text: str) -> str:
    """`event log`, `event_log`, `event-log` and `EventLog` are the same."""
    return re.sub(r"[ _\n-]", "", text.lower())


def words_of(name: str) -> set[str]:
    """`HostManager` and `host_manager` are made of host and manager, and of hostmanager; plurals count as singular."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = [word for word in spaced.split("_") if word]
    pairs = {first + second for first, second in pairwise(words)}
    return {*words, *pairs, *(word.removesuffix("s") for word in words)}


def names_in(path: Path) -> Iterator[str]:
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def test_every_term_of_the_glossary_is_in_use() -> None:
    read = [*(page for page in pages() if page != GLOSSARY), *modules(CODE)]
    text = squeezed("\n".join(path.read_text() for path in read))
    assert [term for term in entries() if squeezed(term) not in text] == []


def test_the_glossary_has_each_term_once_and_in_order() -> None:
    sections = [entries(part) for part in GLOSSARY.read_text().split("\n## ")[1:]]
    assert sections == [sorted(terms, key=str.lower) for terms in sections]
    assert len(set(entries())) == len(entries()) > 30


def test_replaced_words_do_not_come_back_in_the_documentation() -> None:
    found = [
        f"{page.relative_to(ROOT)}: {word} ({REPLACED[word]})"
        for page in pages()
        for word in REPLACED
        if re.search(rf"\b{word}s?\b", page.read_text(), re.IGNORECASE)
    ]
    assert found == []


def test_replaced_words_do_not_come_back_in_names() -> None:
    replaced = {squeezed(word): term for word, term in (REPLACED | NOT_IN_NAMES).items()}
    found = [
        f"{path.relative_to(ROOT)}: {name} ({replaced[word]})"
        for path in modules(CODE)
        for name in names_in(path)
        for word in sorted(replaced.keys() & words_of(name))
    ]
    assert found == []
