"""The browser client: its pages, which are one document, and the files that they load."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import structlog
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.problems import Problem
from gateway.web.built import INDEX, BuildTooLarge, BuiltApp, BuiltFile

BUILT = Path(__file__).parent.parent.parent / "web" / "dist"
# The routes of the app (web/src/screens.ts): at other paths an unknown address is a 404.
PAGES = (
    "/",
    "/browse",
    "/scan",
    "/cards/{card}",
    "/sell",
    "/listings",
    "/auctions/{auction}",
    "/auctions/{auction}/log",
    "/login",
    "/register",
    "/login/return",
    "/verify",
    "/password/forgot",
    "/password/reset",
    "/users/{username}",
    "/portfolio",
    "/trades",
    "/trades/new",
    "/trades/swaps/new",
    "/trades/{trade}",
    "/wallet",
    "/notifications",
    "/activity",
    "/analytics",
    "/operator",
    "/moderation",
    "/settings/profile",
    "/settings",
    "/settings/security",
    "/settings/data",
    "/mints",
    "/mints/{mint}",
)
# What a page asks for first, letter by letter as the app asks for it (useListing, browse-page, card-page).
DATA: Mapping[str, Sequence[str]] = {
    "/": ("/api/v1/auctions?status=open&sort=newest&limit=24", "/api/v1/auctions?status=open&sort=ending&limit=5"),
    "/browse": (
        "/api/v1/catalog/cards?q=&sort=relevance&limit=24",
        "/api/v1/catalog/facets?q=",
        "/api/v1/catalog/sets",
    ),
    "/cards/{card}": ("/api/v1/catalog/cards/{card}",),
}
WORKER = "service-worker.js"
# At the top of the site, beside the pages.
TOP_FILES = (
    "icon.svg",
    "icon-192.png",
    "icon-512.png",
    "icon-maskable-512.png",
    "apple-touch-icon.png",
    "badge-96.png",
    "manifest.webmanifest",
    WORKER,
)

# Scripts, styles, pictures and connections of this origin alone; nothing inline.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self';"
    " manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# A wallet app of the device is a server at a random port, with this path (Mobile Wallet Adapter).
WALLET_APP = " ws://localhost:*/solana-wallet"
# The page that scans cards asks for the camera; no other site may, in a frame.
PERMISSIONS = "camera=(self), geolocation=(), microphone=()"
# The service worker loads no other script; what it fetches for a page is under the policy of that page, too.
WORKER_POLICY = "default-src 'none'; connect-src 'self'"
# The page that stands in for a missing build has no more than its text.
MISSING_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# A name with a hash stands for its content for good.
FOREVER = "public, max-age=31536000, immutable"
ASK_FIRST = "no-cache"

MISSING_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>ECE engine</title>
<h1>The engine runs; its browser client is not built</h1>
<p>The API works: <a href="/docs">REST</a>, <a href="/docs/ws">WebSocket</a>.</p>
<p>To build the client, run <code>scripts/web build</code> in the engine's folder, then reload this page. It needs a
package registry that npm can reach, once.</p>
{reason}</html>
"""

log = structlog.get_logger(__name__)


def web_router(folder: Path = BUILT) -> APIRouter:
    """The routes of the client that is built in this folder, now or later."""
    app = BuiltApp(folder)
    router = APIRouter(include_in_schema=False)

    def page(request: Request) -> Response:
        built = _file(app, INDEX)
        if built is None:
            return _missing(app)
        headers = {
            "Content-Security-Policy": _policy(request),
            "Permissions-Policy": PERMISSIONS,
            "Vary": "Accept-Encoding, User-Agent",
        }
        if links := _links(request, app):
            headers["Link"] = ", ".join(links)
        return _answer(request, built, ASK_FIRST, headers)

    def asset(request: Request, name: str) -> Response:
        return _found(request, _file(app, f"assets/{name}"), FOREVER)

    def top_file(request: Request) -> Response:
        name = request.url.path.removeprefix("/")
        headers = {"Content-Security-Policy": WORKER_POLICY} if name == WORKER else {}
        return _found(request, _file(app, name), ASK_FIRST, headers)

    for path in PAGES:
        router.add_api_route(path, page, methods=["GET"])
    router.add_api_route("/assets/{name}", asset, methods=["GET"])
    for name in TOP_FILES:
        router.add_api_route(f"/{name}", top_file, methods=["GET"])
    return router


def _policy(request: Request) -> str:
    """Only on Android, where wallets are apps, may a page connect to one (web/src/session/wallet-apps.tsx)."""
    if "Android" not in request.headers.get("user-agent", ""):
        return POLICY
    return POLICY.replace("connect-src 'self'", "connect-src 'self'" + WALLET_APP)


def _file(app: BuiltApp, path: str) -> BuiltFile | None:
    try:
        return app.file(path)
    except (BuildTooLarge, OSError) as error:
        log.error("web_build_unreadable", error=str(error))
        return None


def _links(request: Request, app: BuiltApp) -> list[str]:
    """What the browser should ask for at once: scripts, and data, which depend on what stands after the `?`."""
    route: APIRoute = request.scope["route"]
    links = [f"</{script}>; rel=modulepreload" for script in app.preloads(route.path)]
    if request.url.query == "":
        # A path has any characters, also those that end a header.
        parts = {name: quote(value, safe="") for name, value in request.path_params.items()}
        wanted = [path.format(**parts) for path in DATA.get(route.path, ())]
        links += [f"<{path}>; rel=preload; as=fetch; crossorigin" for path in wanted]
    return links


def _found(
    request: Request, file: BuiltFile | None, cache_control: str, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    if file is None:
        raise Problem("not_found", "there is no such file")
    return _answer(request, file, cache_control, headers)


def _answer(request: Request, file: BuiltFile, cache_control: str, headers: Mapping[str, str]) -> Response:
    headers = {"Vary": "Accept-Encoding", **headers, "Cache-Control": cache_control, "ETag": file.etag}
    if _known(file.etag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    encoding, content = file.encoded(request.headers.get("accept-encoding", ""))
    if encoding is not None:
        headers["Content-Encoding"] = encoding
    return Response(content, headers=headers, media_type=file.media_type)


def _known(etag: str, if_none_match: str) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


def _missing(app: BuiltApp) -> Response:
    """A page that says why there is no client, and what to do."""
    failure = app.failure()
    reason = "" if failure is None else f"<h2>The last build failed</h2><pre>{escape(failure)}</pre>"
    headers = {"Content-Security-Policy": MISSING_POLICY, "Retry-After": "30"}
    return Response(MISSING_PAGE.format(reason=reason), 503, headers, "text/html; charset=utf-8")
