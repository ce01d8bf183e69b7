"""No secret that a whole engine uses, or that a client sends or gets, is in any of its logs or in its output.

A new secret is one more ``used(name, secret)`` where the scene gets it.
"""

import asyncio
import base64
import json
import re
import struct
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pyotp
import pytest
from engines import Up
from solders.keypair import Keypair

from actors.workers.mail.mailbox import Mailbox
from bench.wire.client import WireClient

pytestmark = pytest.mark.timeout(300)

PASSWORD, WRONG = "correct horse battery 73519", "a wrong password 90817"
SIGNER_TOKEN = "a-token-of-the-signer-5d1f0c8e"
WALLET_KEY = "a-master-secret-of-forty-characters-x7q2"
# Shorter ones, such as codes of six digits, would be found by chance.
LENGTH_MIN = 8
USD = 1_000_000


class Scene:
    """A running engine, and every secret that it has used so far."""

    def __init__(self, up: Up) -> None:
        self.up = up
        self.secrets: list[tuple[str, str]] = []
        self._http = httpx.Client(base_url=f"{up.url}/api/v1", timeout=30.0, trust_env=False)
        self._count = 0
        self.token: str | None = None

    def used(self, name: str, secret: str) -> str:
        """Note a secret; it is returned as it is."""
        assert len(secret) >= LENGTH_MIN, f"{name} is too short to look for"
        self.secrets.append((name, secret))
        return secret

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        self._count += 1
        headers = {"Idempotency-Key": f"secret-{self._count}", **options.pop("headers", {})}
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        return self._http.request(method, path, json=body, headers=headers, **options)

    def post(self, path: str, body: Any = None, status: int = 200, **options: Any) -> Any:
        answer = self.send("POST", path, body, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    settings = {
        "ECE_BCRYPT_COST": "4", "ECE_LOG_LEVEL": "debug", "ECE_LOG_FORMAT": "json", "ECE_WALLET_KEY": WALLET_KEY,
        "ECE_CHAIN_SIGNER_TOKEN": SIGNER_TOKEN, "ECE_ENCRYPT_EMAILS": "true",
    }  # fmt: skip
    with (
        tempfile.TemporaryDirectory(prefix="ece-secrets-", ignore_cleanup_errors=True) as home,
        closing(Up(Path(home), **settings)) as up,
    ):
        up.start()
        up.wait_until_ready()
        with closing(Scene(up)) as mine:
            yield mine


def test_no_secret_is_in_any_log(scene: Scene):
    logs_in(scene)
    reads_mails(scene)
    has_a_second_factor(scene)
    makes_an_api_key(scene)
    has_cookies(scene)
    uses_wallets_and_content(scene)
    asyncio.run(uses_the_socket(scene))
    sends_secrets_where_they_do_not_belong(scene)
    logs_out(scene)
    of_the_server(scene)
    written = logs_of(scene)
    names = {path.name for path in written}
    assert names >= {
        "gateway.log",
        "worker.log",
        "minting-0.log",
        "host-0.log",
        "postgres.log",
        "valkey.log",
        "up.txt",
        "raylet.out",
        "gcs_server.out",
    }
    assert any(name.startswith("python-core-worker") for name in names), "of the hosts"
    found = found_in(scene, written)
    scene.up.interrupt()
    # And what is written at the end.
    assert found + found_in(scene, logs_of(scene)) == []


def test_each_line_of_our_logs_is_one_json_line(scene: Scene):
    for name in ("gateway.log", "worker.log"):
        (path,) = [path for path in logs_of(scene) if path.name == name]
        for line in read(path).splitlines():
            if line.startswith("{"):
                json.loads(line)
            assert "\x1b" not in line


# -- what the scene does


def logs_in(scene: Scene) -> None:
    scene.used("password", PASSWORD)
    scene.used("wrong password", WRONG)
    scene.post("/auth/register", {"email": "ann@example.org", "username": "ann", "password": PASSWORD}, 201)
    scene.post("/auth/register", {"email": "ann@example.org", "username": "ann", "password": PASSWORD}, 409)
    scene.post("/auth/login", {"login": "ann", "password": WRONG}, 401)
    # A password in the field of the name.
    scene.post(
        "/auth/login", {"login": scene.used("password as a login", "my-login-secret-44"), "password": WRONG}, 401
    )
    tokens = scene.post("/auth/login", {"login": "ann@example.org", "password": PASSWORD})
    scene.token = tokens["access_token"]
    assert scene.send("GET", "/users/me").json()["email"] == "ann@example.org"
    scene.used("first refresh token", tokens["refresh_token"])
    tokens_used(scene, tokens)
    again = scene.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    tokens_used(scene, again)


def tokens_used(scene: Scene, tokens: dict[str, Any]) -> None:
    scene.token = scene.used("access token", tokens["access_token"])
    # Its signature alone would be enough to put one together.
    scene.used("signature of the access token", tokens["access_token"].rpartition(".")[2])
    scene.refresh_token = scene.used("refresh token", tokens["refresh_token"])  # type: ignore[attr-defined]


def reads_mails(scene: Scene) -> None:
    """Verifies the address, and has another password mailed: the tokens of both are secrets, used or not."""
    scene.post("/auth/verify", {"token": scene.used("token of the first mail", mailed(scene, "Verify"))}, 204)
    scene.post("/auth/password/forgot", {"email": "ann@example.org"}, 202)
    reset = scene.used("token that resets the password", mailed(scene, "Reset"))
    scene.post("/auth/password/reset", {"token": reset[:-1] + "-", "new_password": PASSWORD}, 422)
    scene.post("/auth/password/reset", {"token": reset, "new_password": PASSWORD}, 204)
    tokens_used(scene, scene.post("/auth/login", {"login": "ann", "password": PASSWORD}))


def mailed(scene: Scene, subject: str) -> str:
    """The token of the newest such mail, once it is there."""
    mailbox, deadline = Mailbox(scene.up.data_dir.mail), time.monotonic() + 60
    while time.monotonic() < deadline:
        for mail in mailbox.newest("ann@example.org"):
            if mail.subject.startswith(subject) and (found := re.search(r"^    \S+#([\w-]{43})$", mail.text, re.M)):
                return found[1]
        time.sleep(0.05)
    raise AssertionError(f"no mail: {subject}")


def makes_an_api_key(scene: Scene) -> None:
    made = scene.post("/api-keys", {"name": "bot", "scopes": ["account.read"]}, 201)
    key = {"Authorization": f"Bearer {scene.used('API key', made['key'])}"}
    assert scene.send("GET", "/users/me", headers=key).status_code == 200
    scene.post("/ledger/deposits", {"amount": USD, "currency": "USDC"}, 403, headers=key)
    assert scene.send("DELETE", f"/api-keys/{made['id']}").status_code == 204


def has_cookies(scene: Scene) -> None:
    answer = scene.send("POST", "/auth/login", {"login": "ann", "password": PASSWORD}, headers={"X-Session": "cookie"})
    assert answer.status_code == 200, answer.text
    for name, value in answer.cookies.items():
        scene.used(f"cookie {name}", value)
    csrf = scene.used("CSRF token", answer.json()["csrf_token"])
    page = {"Cookie": "; ".join(f"{name}={value}" for name, value in answer.cookies.items())}
    with httpx.Client(base_url=f"{scene.up.url}/api/v1", trust_env=False) as browser:
        own = page | {"Origin": scene.up.url}
        assert browser.post("/auth/refresh", json={}, headers=own | {"X-CSRF-Token": csrf[:-2]}).status_code == 403
        again = browser.post("/auth/refresh", json={}, headers=own | {"X-CSRF-Token": csrf, "X-Session": "cookie"})
        assert again.status_code == 200, again.text
        for name, value in again.cookies.items():
            scene.used(f"next cookie {name}", value)


def has_a_second_factor(scene: Scene) -> None:
    scene.post("/auth/second-factor", {"password": WRONG}, 403)
    made = scene.post("/auth/second-factor", {"password": PASSWORD}, 201)
    totp = pyotp.TOTP(scene.used("secret of the second factor", made["secret"]))
    scene.used("URI of the second factor", made["uri"])
    scene.post("/auth/second-factor/confirm", {"code": "000000"}, 403)
    codes = scene.post("/auth/second-factor/confirm", {"code": totp.now()})["recovery_codes"]
    for number, code in enumerate(codes):
        scene.used(f"recovery code {number}", code)
    scene.post("/ledger/deposits", {"amount": 100 * USD, "currency": "USDC"}, 201)
    withdrawal = {"amount": USD, "currency": "USDC", "destination": str(Keypair().pubkey())}
    wrong = {"X-Second-Factor": scene.used("wrong code", "wrong-code-4711")}
    scene.post("/ledger/withdrawals", withdrawal, 403, headers=wrong)
    scene.post("/ledger/withdrawals", withdrawal, 201, headers={"X-Second-Factor": codes[0]})
    scene.post("/auth/second-factor/disable", {"code": codes[1]}, 204)


def uses_wallets_and_content(scene: Scene) -> None:
    pair = Keypair()
    scene.used("key of an outside wallet", str(pair))
    challenge = scene.post("/wallets/challenges", {"address": str(pair.pubkey())}, 201)
    signature = str(pair.sign_message(challenge["message"].encode()))
    message = base64.b64encode(challenge["message"].encode()).decode()
    linked = {"address": str(pair.pubkey()), "message": message, "signature": signature}
    scene.used("signature of a log-in with a wallet", signature)
    scene.post("/wallets/links", linked | {"signature": signature[:-4] + "1111"}, 422)
    scene.post("/wallets/links", linked, 201)
    uploaded = scene.send("POST", "/content", content=_png(), headers={"Content-Type": "image/png"})
    assert uploaded.status_code == 201, uploaded.text


async def uses_the_socket(scene: Scene) -> None:
    client = await WireClient.connect(scene.up.url, scene.token)
    client.close()
    with suppress(Exception):
        await WireClient.connect(scene.up.url, scene.used("forged token", f"{scene.token}forged"))


def sends_secrets_where_they_do_not_belong(scene: Scene) -> None:
    """Clients do: in addresses, in fields that don't exist, in texts with line ends."""
    stray = scene.used("secret in an address", "stray-secret-of-an-address-1")
    scene.send("GET", f"/users/{stray}/profile")
    scene.send("GET", f"/auctions?cursor={scene.used('secret in a cursor', 'stray-secret-of-a-cursor-2')}")
    scene.send("GET", f"/users/me?access_token={scene.token}&password={quote(PASSWORD)}")
    unknown = scene.used("secret of an unknown field", "stray-secret-of-a-field-3")
    scene.send("POST", "/auth/login", {"login": "ann", "password": PASSWORD, "otp": unknown, unknown: 1})
    scene.send(
        "POST", "/auth/login", {"login": 'a\n{"level": "critical", "event": "forged"}\x1b[2J', "password": WRONG}
    )
    for value in (f"Basic {base64.b64encode(PASSWORD.encode()).decode()}", f"Bearer {stray}", f"bearer  {scene.token}"):
        scene.send("GET", "/users/me", headers={"Authorization": value})
    scene.send("GET", "/users/me", headers={"Cookie": f"session={stray}", "X-Request-ID": f"{stray}\t{{"})
    scene.send(
        "POST", "/auth/refresh", {"refresh_token": scene.used("unknown refresh token", "unknown-refresh-token-5")}
    )


def logs_out(scene: Scene) -> None:
    refresh_token: str = scene.refresh_token  # type: ignore[attr-defined]
    first = next(secret for name, secret in scene.secrets if name == "first refresh token")
    scene.post("/auth/logout", {"refresh_token": refresh_token}, 204)
    scene.post("/auth/refresh", {"refresh_token": first}, 401)


def of_the_server(scene: Scene) -> None:
    scene.used("token of the signer", SIGNER_TOKEN)
    scene.used("master secret", WALLET_KEY)
    files = [path for path in scene.up.data_dir.secrets.rglob("*") if path.is_file()]
    assert len(files) > 2
    for path in files:
        for line in filter(None, path.read_text().splitlines()):
            scene.used(f"{path.relative_to(scene.up.data_dir.secrets)}", line)
            if line.startswith("["):
                scene.used(f"{path.name} in base58", str(Keypair.from_bytes(bytes(json.loads(line)))))
    state = scene.up.data_dir.read_state()
    assert state is not None
    for url in (state.database_url, state.redis_url):
        if password := urlsplit(url).password:
            scene.used(f"password of {urlsplit(url).scheme}", password)


# -- where it looks


def logs_of(scene: Scene) -> list[Path]:
    """All that an engine writes for people: its logs, its output, Ray's logs, PostgreSQL's."""
    state = scene.up.data_dir.read_state()
    folders = [scene.up.data_dir.logs, *([Path(state.runtime_dir)] if state is not None else [])]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files += scene.up.data_dir.postgres.rglob("*log*")
    output = scene.up.data_dir.path.parent / "up.txt"
    return sorted({path for path in [*files, output] if path.is_file()})


def found_in(scene: Scene, paths: list[Path]) -> list[tuple[str, str]]:
    """(secret's name, file) for each secret that stands in a file, also quoted or in base64."""
    found = []
    for path in paths:
        text = read(path)
        for name, secret in scene.secrets:
            written = {secret, quote(secret), json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode()}
            if any(one in text for one in written):
                found.append((name, path.name))
    return found


def read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def _png() -> bytes:
    """A picture of one grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\x00\x80")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
