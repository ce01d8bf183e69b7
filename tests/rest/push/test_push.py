"""Push messages: subscriptions, and what a push service gets, decrypted as the browser does it."""

import base64
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import http_ece
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from actors.workers.push.notifications import PushNotifications
from actors.workers.push.sending import PushFailed, PushSender
from persistence.jobs.store import JobStore
from persistence.push.digests import PACE_MS, NotificationPushes
from persistence.push.subscriptions import PushSubscriptions
from persistence.push.vapid import VapidKey
from tests.rest.mail.mailing import access_token, register, run_once
from tests.rest.mail.test_notification_mails import notify
from tests.rest.rest_engine import PUSH_SERVICE, SECRET, RestEngine
from tests.rest.test_rest_auctions import problem

CONTACT = "mailto:ece@cards.example"
PATH = "/users/me/push-subscriptions"


def text_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Browser:
    """The keys of a subscription."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._auth = os.urandom(16)

    @property
    def subscription(self) -> dict[str, Any]:
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {
            "endpoint": self.endpoint,
            "keys": {"p256dh": text_of(point), "auth": text_of(self._auth)},
            "expirationTime": None,
        }

    def reads(self, body: bytes) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(
            http_ece.decrypt(body, private_key=self._key, auth_secret=self._auth, version="aes128gcm")
        )
        return message


@dataclass
class PushService:
    """One on this machine, which answers with ``status``."""

    origin: str = ""
    status: int = 201
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def post(self, request: web.Request) -> web.Response:
        self.got.append((request.path, dict(request.headers), await request.read()))
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    service, app = PushService(), web.Application()
    app.router.add_post("/{id}", service.post)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield service
    await runner.cleanup()


async def deliver(engine: RestEngine, service: PushService) -> None:
    pool, now_ms = engine.pool, engine.services.now_ms
    sender = PushSender(VapidKey(SECRET), CONTACT, [service.origin], now_ms)
    await run_once(
        pool, PushNotifications(NotificationPushes(pool), PushSubscriptions(pool), JobStore(pool), sender, now_ms)
    )


async def member(engine: RestEngine, name: str) -> tuple[int, str]:
    await register(engine, name)
    user = await engine.services.users.by_login(name)
    assert user is not None
    return user.user_id, await access_token(engine, name)


async def subscribed(engine: RestEngine, service: PushService, token: str) -> Browser:
    """A browser that gets the messages of a user, at this service."""
    browser = Browser(f"{PUSH_SERVICE}/{os.urandom(4).hex()}")
    answer = await engine.request("PUT", PATH, token=token, json=browser.subscription)
    assert answer.status_code == 200, answer.text
    # The routes know the service by a name that has no port.
    moved = browser.endpoint.replace(PUSH_SERVICE, service.origin)
    await engine.pool.execute(
        "UPDATE push_subscriptions SET endpoint = $2 WHERE endpoint = $1", browser.endpoint, moved
    )
    return browser


async def passes(engine: RestEngine, time_ms: int) -> None:
    await engine.pool.execute("UPDATE jobs SET run_at = 0 WHERE kind = 'push_notifications'")
    await engine.pool.execute("UPDATE push_digests SET sent_at = sent_at - $1", time_ms)


async def test_a_notification_reaches_the_browser_encrypted_and_signed(engine: RestEngine, service: PushService):
    user, token = await member(engine, "ann")
    browser = await subscribed(engine, service, token)
    await notify(engine, user, "outbid", "outbid 1", "Pikachu")
    await deliver(engine, service)
    [(_, headers, body)] = service.got
    assert browser.reads(body) == {
        "kind": "outbid", "text": "You were outbid: Pikachu", "subject": "Pikachu", "total": 1,
        "tag": "outbid 1", "about": {"auction": "1"},
    }  # fmt: skip
    assert b"Pikachu" not in body
    scheme, _, rest = headers["Authorization"].partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    key = (await engine.request("GET", "/push/key")).json()["public_key"]
    assert (scheme, parts["k"]) == ("vapid", key)
    point = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    claims = jwt.decode(
        parts["t"], public, algorithms=["ES256"], audience=service.origin, options={"verify_exp": False}
    )
    assert claims["sub"] == CONTACT
    assert (int(headers["TTL"]) > 0, headers["Content-Encoding"]) == (True, "aes128gcm")


async def test_what_comes_soon_after_is_sent_together(engine: RestEngine, service: PushService):
    user, token = await member(engine, "bea")
    browser = await subscribed(engine, service, token)
    for number in range(4):
        await notify(engine, user, "outbid", f"outbid {number}", f"Card {number}")
        await deliver(engine, service)
    assert len(service.got) == 1
    await passes(engine, PACE_MS)
    await deliver(engine, service)
    message = browser.reads(service.got[1][2])
    assert (message["text"], message["total"]) == ("You were outbid: Card 3", 3)


async def test_nothing_is_pushed_where_it_is_off_read_or_not_subscribed(engine: RestEngine, service: PushService):
    user, token = await member(engine, "cas")
    await notify(engine, user, "outbid", "outbid 0")
    assert await engine.pool.fetchval("SELECT count(*) FROM jobs WHERE kind = 'push_notifications'") == 0
    await subscribed(engine, service, token)
    change = {"kinds": {"outbid": {"in_app": True, "email": True, "push": False}}}
    answer = await engine.request("PATCH", "/users/me/notification-preferences", token=token, json=change)
    assert not answer.json()["kinds"]["outbid"]["push"]
    # Without `push` that channel stays as it is.
    change["kinds"]["outbid"].pop("push")
    answer = await engine.request("PATCH", "/users/me/notification-preferences", token=token, json=change)
    assert not answer.json()["kinds"]["outbid"]["push"]
    await notify(engine, user, "outbid", "outbid 1")
    # By default not pushed.
    await notify(engine, user, "deposit", "deposit 1")
    await notify(engine, user, "auction_won", "won 1")
    await engine.services.watching.notifications.read_up_to(user, 10, engine.services.now_ms())
    await deliver(engine, service)
    assert service.got == []


async def test_quiet_hours_put_a_message_off(engine: RestEngine, service: PushService):
    user, token = await member(engine, "dee")
    await subscribed(engine, service, token)
    quiet = {"quiet_from": "00:00", "quiet_until": "23:59", "time_zone": "UTC"}
    answer = await engine.request("PATCH", "/users/me/preferences", token=token, json=quiet)
    assert answer.json()["quiet_until"] == "23:59"
    await notify(engine, user, "outbid", "outbid 1")
    await deliver(engine, service)
    assert service.got == []
    row = await engine.pool.fetchrow("SELECT run_at FROM jobs WHERE kind = 'push_notifications'")
    assert row["run_at"] > engine.services.now_ms()
    off = {"quiet_from": None}
    await engine.request("PATCH", "/users/me/preferences", token=token, json=off)
    await passes(engine, 0)
    await deliver(engine, service)
    assert len(service.got) == 1


@pytest.mark.parametrize(
    ("status", "kept", "fails"), [(404, 0, False), (410, 0, False), (503, 1, True), (413, 1, False), (307, 1, True)]
)
async def test_what_a_service_answers_counts(
    engine: RestEngine, service: PushService, status: int, kept: int, fails: bool
):
    user, token = await member(engine, f"eva{status}")
    await subscribed(engine, service, token)
    service.status = status
    await notify(engine, user, "outbid", "outbid 1")
    failed = False
    try:
        await deliver(engine, service)
    except PushFailed:
        failed = True
    assert (failed, [path for path, *_ in service.got].count("/elsewhere")) == (fails, 0)
    assert await engine.pool.fetchval("SELECT count(*) FROM push_subscriptions WHERE user_id = $1", user) == kept


async def test_a_subscription_is_listed_and_goes_with_its_session(engine: RestEngine, service: PushService):
    user, token = await member(engine, "flo")
    other = await access_token(engine, "flo")
    browser = await subscribed(engine, service, token)
    mine = (await engine.request("GET", PATH, token=token)).json()["items"]
    seen = (await engine.request("GET", PATH, token=other)).json()["items"]
    assert [(one["current"], one["endpoint"].rsplit("/", 1)[1]) for one in mine] == [
        (True, browser.endpoint.rsplit("/", 1)[1])
    ]
    assert [one["current"] for one in seen] == [False]
    assert (await engine.request("DELETE", f"{PATH}/{mine[0]['id']}", token=other)).status_code == 204
    await subscribed(engine, service, token)
    await engine.services.refresh_tokens.end_all(user)
    assert await engine.pool.fetchval("SELECT count(*) FROM push_subscriptions WHERE user_id = $1", user) == 0


async def test_an_endpoint_moves_to_another_user_only_with_its_keys(engine: RestEngine, service: PushService):
    (_, ann), (_, bob) = await member(engine, "gus"), await member(engine, "hal")
    browser = Browser(f"{PUSH_SERVICE}/one")
    for token in (ann, bob, bob):
        assert (await engine.request("PUT", PATH, token=token, json=browser.subscription)).status_code == 200
    assert (await engine.request("GET", PATH, token=ann)).json()["items"] == []
    stranger = Browser(browser.endpoint)
    problem(await engine.request("PUT", PATH, token=ann, json=stranger.subscription), 409, "push_subscription_taken")


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "http://169.254.169.254/latest"}, {"endpoint": f"{PUSH_SERVICE}:22/x"},
        {"keys": {"p256dh": text_of(bytes(65)), "auth": text_of(bytes(16))}},
        {"keys": {"p256dh": "!", "auth": "!"}}, {"more": None},
    ],
)  # fmt: skip
async def test_what_is_no_subscription_is_refused(engine: RestEngine, change: dict[str, Any]):
    _, token = await member(engine, f"ida{os.urandom(3).hex()}")
    body = Browser(f"{PUSH_SERVICE}/x").subscription | change
    assert (await engine.request("PUT", PATH, token=token, json=body)).status_code == 422


async def test_nobody_has_more_than_twenty(engine: RestEngine):
    _, token = await member(engine, "jon")
    answers = [
        await engine.request("PUT", PATH, token=token, json=Browser(f"{PUSH_SERVICE}/{n}").subscription)
        for n in range(21)
    ]
    assert [one.status_code for one in answers] == [200] * 20 + [409]
    problem(answers[-1], 409, "push_subscriptions_full")
