"""The checks of web/: types against what the server sends now, style, unit tests, and the size of the bundle."""

import gzip
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from npm import ROOT, WEB, npm

from tests.rest.rest_engine import RestEngine, rest_engine

# With room for the packages to be installed.
pytestmark = pytest.mark.timeout(300)

MAIN_BUNDLE_BYTES_MAX = 130 * 1024


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[RestEngine]:
    async with rest_engine(database_url) as engine:
        yield engine


async def test_the_app_fits_the_rest_api_as_it_is_now(engine: RestEngine):
    """The types are made anew from the server's own document: whatever they have lost, the type check misses."""
    generated = WEB / "generated"
    generated.mkdir(exist_ok=True)
    document = (await engine.http.get("http://engine/openapi.json")).json()
    (generated / "openapi.json").write_text(json.dumps(document))
    npm("run", "--silent", "types", "--", "rest", "generated/openapi.json", "generated/rest.ts")
    npm("run", "--silent", "check")


def test_the_types_of_the_socket_package_are_those_of_the_asyncapi_document(tmp_path: Path):
    """After a change of the document: `scripts/web npm run types:socket`."""
    made = tmp_path / "messages.ts"
    npm("run", "--silent", "types", "--", "socket", str(ROOT / "docs/asyncapi.yaml"), str(made))
    assert (WEB / "packages/ece-socket/src/messages.ts").read_text() == made.read_text()


def test_the_unit_tests_of_the_client_pass():
    npm("test", "--silent")


def test_the_main_bundle_is_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """What the first screen needs before it can be drawn: the entry, and all that it imports at once."""
    npm("run", "--silent", "build", "--", "--outDir", str(tmp_path), "--logLevel", "warn")
    entries = re.findall(r'src="/assets/([^"]+)"', (tmp_path / "index.html").read_text())
    main = imported_at_once(tmp_path / "assets", *entries)
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in (tmp_path / "assets").glob("*.js")}
    used, whole = sum(sizes[name] for name in main), sum(sizes.values())
    with capsys.disabled():
        print(f"\nmain bundle: {used} of {MAIN_BUNDLE_BYTES_MAX} bytes gzipped; all {len(sizes)} scripts: {whole}")  # noqa: T201
    assert 0 < used <= MAIN_BUNDLE_BYTES_MAX, {name: sizes[name] for name in main}
    assert used < whole, "screens are scripts of their own"


def imported_at_once(assets: Path, *entries: str) -> set[str]:
    """These scripts and those that their static imports lead to."""
    found, waiting = set(), [*entries]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += re.findall(r"""(?:from|import)\s*["']\./([^"']+\.js)["']""", (assets / name).read_text())
    return found


def test_the_lock_names_no_registry():
    lock = json.loads((WEB / "package-lock.json").read_text())["packages"]
    assert [name for name, package in lock.items() if package.get("resolved", "").startswith("http")] == []
    assert [name for name, package in lock.items() if "node_modules/" in name and not package.get("link")
            and "integrity" not in package] == []  # fmt: skip


def test_each_close_code_of_the_protocol_has_the_meaning_that_the_client_gives_it():
    codes = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())["channels"]["socket"]["x-close-codes"]
    stop = {int(code) for code, about in codes.items() if not about["reconnect"]}
    assert stop, "there are such codes"
    assert {code for code in map(int, codes) if 4500 <= code <= 4999} == stop
