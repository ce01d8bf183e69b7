"""Sessions over REST: listed, ended, and held by cookies of a browser."""

from typing import Any

import httpx
import pytest

from domain.ids import parse_id
from gateway.http.cookies import names_of
from gateway.rest.limits import Limits
from tests.rest.rest_engine import PASSWORD, RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem

SITE = "https://ece"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


async def register(engine: RestEngine, name: str) -> None:
    body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD}
    assert (await engine.request("POST", "/auth/register", json=body)).status_code == 201


async def log_in(engine: RestEngine, name: str, **headers: str) -> dict[str, Any]:
    answer = await engine.request("POST", "/auth/login", json={"login": name, "password": PASSWORD}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


class Page:
    """A page in a browser over TLS: it holds cookies, and sends its Origin."""

    def __init__(self, engine: RestEngine, origin: str = SITE) -> None:
        transport = httpx.ASGITransport(engine.app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url=f"{SITE}/api/v1")
        self.origin = origin
        self.csrf = ""

    async def log_in(self, name: str) -> httpx.Response:
        body = {"login": name, "password": PASSWORD}
        answer = await self.http.post("/auth/login", json=body, headers={"X-Session": "cookie", "Origin": self.origin})
        self.csrf = answer.json().get("csrf_token", "")
        return answer

    async def send(self, method: str, path: str, body: Any = None, **changed: str | None) -> httpx.Response:
        """A request as a page of ours sends it, but for what is ``changed`` (None: without that header)."""
        headers = {"Origin": self.origin, "X-CSRF-Token": self.csrf} | {
            name.replace("_", "-"): value for name, value in changed.items()
        }
        sent = {name: value for name, value in headers.items() if value is not None}
        return await self.http.request(method, path, json=body, headers=sent)


async def test_a_user_sees_where_they_are_logged_in_and_which_one_this_is(engine: RestEngine):
    await register(engine, "ann")
    await log_in(engine, "ann", **{"User-Agent": "curl/8.5.0"})
    here = await log_in(engine, "ann", **{"User-Agent": FIREFOX})
    answer = await engine.request("GET", "/sessions", token=here["access_token"])
    newest, older = answer.json()["items"]
    assert (newest["device"], newest["current"]) == ("Firefox on Linux", True)
    assert (older["device"], older["current"]) == ("curl/8.5.0", False)
    assert newest["address"] == "127.0.0.1"
    assert newest["network"] == "127.0.0.0/24"
    assert older["created_at"] <= older["used_at"] <= engine.services.now_ms()


async def test_an_ended_session_is_refused_at_once_and_can_not_refresh(engine: RestEngine):
    await register(engine, "bob")
    other, here = await log_in(engine, "bob"), await log_in(engine, "bob")
    items = (await engine.request("GET", "/sessions", token=here["access_token"])).json()["items"]
    [its] = [one["id"] for one in items if not one["current"]]
    assert (await engine.request("GET", "/users/me", token=other["access_token"])).status_code == 200
    assert (await engine.request("DELETE", f"/sessions/{its}", token=here["access_token"])).status_code == 204
    problem(await engine.request("GET", "/users/me", token=other["access_token"]), 401, "unauthenticated")
    refreshed = await engine.request("POST", "/auth/refresh", json={"refresh_token": other["refresh_token"]})
    problem(refreshed, 401, "unauthenticated")
    assert (await engine.request("GET", "/users/me", token=here["access_token"])).status_code == 200
    again = await engine.request("DELETE", f"/sessions/{its}", token=here["access_token"])
    problem(again, 404, "not_found")


async def test_all_others_are_ended_at_once(engine: RestEngine):
    await register(engine, "carl")
    others, here = [await log_in(engine, "carl") for _ in range(3)], await log_in(engine, "carl")
    answer = await engine.request("DELETE", "/sessions", token=here["access_token"])
    assert answer.json() == {"ended": 3}
    for one in others:
        problem(await engine.request("GET", "/users/me", token=one["access_token"]), 401, "unauthenticated")
    assert len((await engine.request("GET", "/sessions", token=here["access_token"])).json()["items"]) == 1


async def test_nobody_ends_the_session_of_somebody_else(engine: RestEngine):
    await register(engine, "dan")
    await register(engine, "dora")
    dan, dora = await log_in(engine, "dan"), await log_in(engine, "dora")
    [item] = (await engine.request("GET", "/sessions", token=dan["access_token"])).json()["items"]
    problem(await engine.request("DELETE", f"/sessions/{item['id']}", token=dora["access_token"]), 404, "not_found")
    assert (await engine.request("GET", "/users/me", token=dan["access_token"])).status_code == 200


async def test_after_a_log_out_the_access_token_is_refused(engine: RestEngine):
    await register(engine, "eva")
    pair = await log_in(engine, "eva")
    out = await engine.request("POST", "/auth/logout", json={"refresh_token": pair["refresh_token"]})
    assert out.status_code == 204
    problem(await engine.request("GET", "/users/me", token=pair["access_token"]), 401, "unauthenticated")


async def test_a_session_ends_a_time_after_its_log_in_however_much_it_is_used(database_url: str):
    async with rest_engine(database_url, Limits(session_max_s=3_600)) as engine:
        await register(engine, "eve")
        pair, started = await log_in(engine, "eve"), engine.services.now_ms()

        async def refreshed(left_s: int) -> httpx.Response:
            """Once so much is left of the hour."""
            at = started - 1_000 * (3_600 - left_s)
            await engine.pool.execute("UPDATE log_ins SET started_at = $1 WHERE expires_at > $2", at, started)
            return await engine.request("POST", "/auth/refresh", json={"refresh_token": pair["refresh_token"]})

        answer = await refreshed(1_800)
        assert answer.status_code == 200
        pair = answer.json()
        its = "SELECT log_ins.expires_at FROM log_ins JOIN users USING (user_id) WHERE username = 'eve'"
        assert await engine.pool.fetchval(its) == started + 1_800_000
        problem(await refreshed(-1), 401, "unauthenticated")


async def test_the_public_keys_are_served_and_cacheable(engine: RestEngine):
    answer = await engine.http.get("http://ece/.well-known/jwks.json")
    [key] = answer.json()["keys"]
    assert (key["kty"], key["crv"], key["alg"]) == ("OKP", "Ed25519", "EdDSA")
    assert "d" not in key
    assert answer.headers["cache-control"] == "public, max-age=300"


# -- cookies


async def test_a_page_gets_cookies_that_no_script_reads_and_no_tokens(engine: RestEngine):
    await register(engine, "fay")
    page = Page(engine)
    answer = await page.log_in("fay")
    assert answer.json().keys() == {"token_type", "expires_in", "csrf_token"}
    access, refresh, csrf = answer.headers.get_list("set-cookie")
    assert access.startswith("__Host-ece_access=")
    assert access.endswith("; Path=/; Max-Age=900; SameSite=Strict; HttpOnly; Secure")
    assert refresh.startswith("__Secure-ece_refresh=")
    assert "; Path=/api/v1/auth; " in refresh
    assert refresh.endswith("; SameSite=Strict; HttpOnly; Secure")
    assert csrf.startswith(f"__Host-ece_csrf={page.csrf};")
    assert "HttpOnly" not in csrf
    assert (await page.send("GET", "/users/me", X_CSRF_Token=None)).json()["username"] == "fay"


@pytest.mark.parametrize(
    "changed",
    [
        {"X_CSRF_Token": None},
        {"X_CSRF_Token": ""},
        {"X_CSRF_Token": "wrong"},
        {"Origin": None},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://ece"},
        {"Origin": "https://ece.evil.example"},
        {"Origin": "https://ece:444"},
    ],
    ids=str,
)
async def test_a_change_by_cookies_is_refused_if_it_could_be_forged(engine: RestEngine, changed: dict[str, str | None]):
    page, name = Page(engine), f"gil{abs(hash(str(changed))) % 10**8}"
    await register(engine, name)
    await page.log_in(name)
    problem(await page.send("PATCH", "/users/me/profile", {"bio": "forged"}, **changed), 403, "csrf_failed")
    problem(await page.send("DELETE", "/sessions", **changed), 403, "csrf_failed")
    problem(await page.send("POST", "/auth/refresh", {}, **changed), 403, "csrf_failed")
    problem(await page.send("POST", "/auth/logout", {}, **changed), 403, "csrf_failed")
    # As sent by a page of ours, the same is done.
    assert (await page.send("DELETE", "/sessions")).json() == {"ended": 0}


async def test_the_csrf_token_of_another_session_does_not_count(engine: RestEngine):
    await register(engine, "hal")
    mine, other = Page(engine), Page(engine)
    await mine.log_in("hal")
    await other.log_in("hal")
    problem(await mine.send("DELETE", "/sessions", X_CSRF_Token=other.csrf), 403, "csrf_failed")
    assert (await mine.send("DELETE", "/sessions")).json() == {"ended": 1}


async def test_a_page_refreshes_and_logs_out_by_cookies_alone(engine: RestEngine):
    await register(engine, "ike")
    page = Page(engine)
    first = (await page.log_in("ike")).cookies["__Secure-ece_refresh"]
    refreshed = await page.send("POST", "/auth/refresh", {})
    assert refreshed.json() == {"token_type": "cookie", "expires_in": 900, "csrf_token": page.csrf}
    assert refreshed.cookies["__Secure-ece_refresh"] != first
    access = page.http.cookies["__Host-ece_access"]
    out = await page.send("POST", "/auth/logout", {})
    assert (out.status_code, len(page.http.cookies)) == (204, 0)
    problem(await engine.request("GET", "/users/me", token=access), 401, "unauthenticated")
    problem(await page.send("POST", "/auth/refresh", {}), 422, "invalid_request")


async def test_without_tls_cookies_stay_on_this_machine(engine: RestEngine):
    await register(engine, "joe")
    body = {"login": "joe", "password": PASSWORD}
    here = {"X-Session": "cookie", "Host": "127.0.0.1:8000"}
    answer = await engine.request("POST", "/auth/login", json=body, headers=here)
    assert answer.headers.get_list("set-cookie")[0].startswith("ece_access=")
    assert "Secure" not in str(answer.headers.get_list("set-cookie"))
    elsewhere = here | {"Host": "cards.example"}
    problem(await engine.request("POST", "/auth/login", json=body, headers=elsewhere), 422, "invalid_request")


async def test_over_tls_a_cookie_of_the_plain_name_is_not_read(engine: RestEngine):
    await register(engine, "kim")
    token = (await log_in(engine, "kim"))["access_token"]
    page = Page(engine)
    for cookie in (f"ece_access={token}", f"__Host-ece_access={token}; __Host-ece_access=planted"):
        problem(await page.send("GET", "/users/me", Cookie=cookie), 401, "unauthenticated")
    assert (await page.send("GET", "/users/me", Cookie=f"__Host-ece_access={token}")).status_code == 200


async def test_a_token_in_the_header_counts_before_cookies_and_needs_no_csrf_token(engine: RestEngine):
    await register(engine, "leo")
    await register(engine, "liz")
    page, token = Page(engine), (await log_in(engine, "liz"))["access_token"]
    await page.log_in("leo")
    headers: dict[str, str | None] = {"Authorization": f"Bearer {token}", "X_CSRF_Token": None, "Origin": None}
    assert (await page.send("GET", "/users/me", **headers)).json()["username"] == "liz"
    assert (await page.send("DELETE", "/sessions", **headers)).json() == {"ended": 0}


async def test_cookies_from_before_a_change_of_roles_are_refused(engine: RestEngine):
    await register(engine, "moe")
    page = Page(engine)
    await page.log_in("moe")
    user = (await page.send("GET", "/users/me")).json()["id"]
    await engine.services.roles.revoke(parse_id(user), "minter")
    await engine.services.credentials.changes.read()
    problem(await page.send("GET", "/users/me"), 401, "unauthenticated")
    problem(await page.send("DELETE", "/sessions"), 401, "unauthenticated")


async def test_an_api_key_counts_before_cookies_and_is_none_itself(engine: RestEngine):
    await register(engine, "pia")
    page = Page(engine)
    await page.log_in("pia")
    owner = await engine.person()
    key = (await owner.post("/api-keys", {"name": "bot", "scopes": ["account.read"]})).json()["key"]
    headers: dict[str, str | None] = {"Authorization": f"Bearer {key}", "X_CSRF_Token": None, "Origin": None}
    assert (await page.send("GET", "/users/me", **headers)).json()["username"] == owner.name
    problem(await page.send("DELETE", "/sessions", **headers), 403, "forbidden")
    page.http.cookies.clear()
    cookie = f"{names_of(secure=True).access}={key}"
    problem(await page.send("GET", "/users/me", Cookie=cookie), 401, "unauthenticated")


async def test_pages_of_allowed_origins_act_with_cookies(database_url: str):
    shop = "https://shop.ece"
    async with rest_engine(database_url, Limits(cors_origins=(shop,))) as engine:
        await register(engine, "mia")
        page = Page(engine, shop)
        await page.log_in("mia")
        answer = await page.send("DELETE", "/sessions")
        assert answer.json() == {"ended": 0}
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-allow-origin"] == shop
        foreign = await page.send("GET", "/users/me", Origin="https://evil.example")
        assert "access-control-allow-origin" not in foreign.headers
