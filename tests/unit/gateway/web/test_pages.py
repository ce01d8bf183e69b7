"""The browser client over HTTP: which paths are it, how browsers may keep it, and what stands there without it."""

import os
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from gateway.http import problems
from gateway.web import built
from gateway.web.built import BuildTooLarge, read_build
from gateway.web.pages import PAGES, web_router

ROOT = Path(__file__).parents[4]
SCRIPT = "assets/index-Ab1.js"


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>the app")
    (folder / "icon.svg").write_text("<svg/>")
    (folder / ".stamp").write_text("secret")
    (folder / SCRIPT).write_text("run()")
    preloads = '{"/": ["assets/app.js", "assets/home.js"], "/auctions/{auction}": ["a.js"]}'
    (folder / "preloads.json").write_text(preloads)
    (folder / f"{SCRIPT}.gz").write_bytes(b"by gzip")
    (folder / f"{SCRIPT}.br").write_bytes(b"by brotli")
    (tmp_path / "outside.js").write_text("secret")
    return folder


@pytest.fixture
def http(dist: Path) -> TestClient:
    app = FastAPI()
    problems.install(app)
    app.include_router(web_router(dist))
    return TestClient(app)


@pytest.mark.parametrize("path", ["/", "/auctions/0paeqifrs0003", "/login", "/register"])
def test_each_page_is_the_one_document_which_browsers_ask_for_again(http: TestClient, path: str):
    answer = http.get(path)
    assert (answer.status_code, answer.text) == (200, "<!doctype html>the app")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    again = http.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_page_comes_with_the_names_of_what_it_needs(http: TestClient):
    home = "</assets/app.js>; rel=modulepreload, </assets/home.js>; rel=modulepreload"
    assert http.get("/?from=mail").headers["link"] == home
    data = "</api/v1/auctions?status=open&sort=newest&limit=24>; rel=preload; as=fetch; crossorigin"
    assert http.get("/").headers["link"].startswith(f"{home}, {data}")
    assert http.get("/auctions/0paeqifrs0003").headers["link"] == "</a.js>; rel=modulepreload"
    assert "link" not in http.get("/login").headers


def test_no_path_adds_to_the_headers_of_a_page(http: TestClient):
    answer = http.get("/cards/a%0d%0aSet-Cookie:%20a=b%3E,%20%3C")
    assert "set-cookie" not in answer.headers
    card = "a%0D%0ASet-Cookie%3A%20a%3Db%3E%2C%20%3C"
    assert answer.headers["link"] == f"</api/v1/catalog/cards/{card}>; rel=preload; as=fetch; crossorigin"


def test_the_policy_of_the_page_allows_nothing_inline_and_no_frame(http: TestClient):
    assert http.get("/scan").headers["permissions-policy"] == "camera=(self), geolocation=(), microphone=()"
    policy = http.get("/").headers["content-security-policy"]
    assert "unsafe" not in policy
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert rule in policy


def test_only_pages_on_android_may_connect_to_a_wallet_app_and_to_nothing_else(http: TestClient):
    agent = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile"
    answer = http.get("/wallet", headers={"User-Agent": agent})
    here, there = (got.headers["content-security-policy"] for got in (http.get("/wallet"), answer))
    assert "connect-src 'self';" in here
    assert "connect-src 'self' ws://localhost:*/solana-wallet;" in there
    assert there.replace(" ws://localhost:*/solana-wallet", "") == here
    # A cache between must not hand one's policy to the other.
    assert "User-Agent" in answer.headers["vary"]


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/nowhere", "/ws/x", "/docs/x", "/auctions", "/auctions/a/b"])
def test_other_paths_are_not_the_app(http: TestClient, path: str):
    answer = http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_file_with_a_hash_is_kept_for_ever(http: TestClient):
    answer = http.get(f"/{SCRIPT}", headers={"Accept-Encoding": "identity"})
    assert (answer.text, answer.headers["content-type"]) == ("run()", "text/javascript; charset=utf-8")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("accepted", "encoding", "content"),
    [
        ("gzip, deflate, br, zstd", "br", b"by brotli"),
        ("gzip;q=0.8, br;q=0", "gzip", b"by gzip"),
        ("zstd", None, b"run()"),
    ],
)
def test_a_client_gets_the_best_encoding_that_it_takes(dist: Path, accepted: str, encoding: str | None, content: bytes):
    assert read_build(dist)[SCRIPT].encoded(accepted) == (encoding, content)


def test_the_encoding_is_named_and_caches_are_told_that_it_varies(http: TestClient):
    with http.stream("GET", f"/{SCRIPT}", headers={"Accept-Encoding": "br"}) as answer:
        assert b"".join(answer.iter_raw()) == b"by brotli"
    assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("br", "Accept-Encoding")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/..%2findex.html", "/assets/%2e%2e%2f%2e%2e%2foutside.js", "/assets/..%5c..%5coutside.js",
        "/.stamp", "/assets/../.stamp", "/assets/index-Ab1.js.br", "/assets/%00", "/assets/", "/assets//etc/passwd",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_build(http: TestClient, path: str):
    answer = http.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_a_link_in_the_build_is_not_followed(dist: Path):
    os.symlink(dist.parent / "outside.js", dist / "assets/link.js")
    assert "assets/link.js" not in read_build(dist)


def test_a_new_build_is_served_without_a_restart(http: TestClient, dist: Path):
    assert http.get("/").text == "<!doctype html>the app"
    (dist / "index.html").write_text("<!doctype html>the next one")
    os.utime(dist / "index.html", ns=(1, 1))
    assert http.get("/").text == "<!doctype html>the next one"


def test_without_a_build_the_page_says_what_to_do_and_why(http: TestClient, dist: Path):
    (dist / "index.html").unlink()
    (dist.parent / ".build-failure.txt").write_text("npm error <code> ENOTFOUND")
    answer = http.get("/")
    assert answer.status_code == 503
    assert "scripts/web build" in answer.text
    assert "npm error &lt;code&gt; ENOTFOUND" in answer.text
    assert "script-src" not in answer.headers["content-security-policy"]


def test_a_folder_that_is_no_browser_client_is_not_read(dist: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(built, "FILES_MAX", 3)
    with pytest.raises(BuildTooLarge):
        read_build(dist)


def test_the_gateway_and_the_app_have_the_same_pages():
    listed = (ROOT / "web/src/screens.ts").read_text()
    assert tuple(re.findall(r"^ +(?:\{ )?path: '([^']+)'", listed, re.MULTILINE)) == PAGES
