"""Trades on real processes: the tour of docs/protocol.md as it stands there, and two users over WebSockets."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from engines import Up
from websockets.sync.client import connect
from websockets.typing import Subprotocol

PROTOCOL = Path(__file__).parents[2] / "docs/protocol.md"
SHELL_TIMEOUT_S = 100
REPLY_WITHIN_S = 10.0
USD = 1_000_000

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def two_gateways() -> Iterator[Up]:
    with (
        tempfile.TemporaryDirectory(prefix="ece-trades-", ignore_cleanup_errors=True) as home,
        closing(Up(Path(home), ECE_BCRYPT_COST="4", ECE_GATEWAYS="2")) as mine,
    ):
        mine.start()
        mine.wait_until_ready()
        yield mine


def blocks(language: str, url: str) -> list[str]:
    """The pieces of code of the section in this language, for an engine at this URL."""
    section = PROTOCOL.read_text().split("\n## Trades\n", 1)[1].split("\n## ", 1)[0]
    found = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return [code.replace("http://127.0.0.1:8000", url).replace("ws://127.0.0.1:8000", f"ws{url[4:]}") for code in found]


def test_the_tour_works_as_shown(two_gateways: Up, tmp_path: Path) -> None:
    [tour], [client] = blocks("sh", two_gateways.url), blocks("python", two_gateways.url)
    # The client of the tour follows the trade until it is stopped: this one stops when somebody types.
    (tmp_path / "trader.py").write_text(client + '        if "typing" in update:\n            break\n')
    script = tour + f'{sys.executable} trader.py "${{token[bob]}}" $trade\n'
    script = script.replace("scripts/ece", f"{sys.executable} -m ece.cli")
    environment = {
        "PATH": os.environ["PATH"], "ECE_DATA_DIR": str(two_gateways.data_dir.path), "ECE_PORT": str(two_gateways.port),
    }  # fmt: skip
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, timeout=SHELL_TIMEOUT_S, text=True,
        capture_output=True, env=environment,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    answers = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert [one["outcome"] for one in answers if "outcome" in one] == ["confirmed", "executing"]
    hers, his = [one for one in answers if "owner" in one]
    assert (hers["owner"], his["owner"], his["cost"]) == ("bob", "ann", USD)
    frames = [one for one in answers if one.get("type") in ("presence", "typing")]
    assert {"presence", "typing"} == {frame["type"] for frame in frames}


class Trader:
    """A user with a socket."""

    def __init__(self, up: Up, name: str, stack: ExitStack) -> None:
        self._number = 0
        self._api = stack.enter_context(
            httpx.Client(base_url=f"{up.url}/api/v1", trust_env=False, timeout=REPLY_WITHIN_S)
        )
        password = "correct horse battery"
        self.id = self._rest("auth/register", email=f"{name}@example.org", username=name, password=password)["user"][
            "id"
        ]
        token = self._rest("auth/login", login=name, password=password)["access_token"]
        self._api.headers["Authorization"] = f"Bearer {token}"
        self.frames: list[dict[str, Any]] = []
        url, protocols = f"ws{up.url[4:]}/ws", [Subprotocol("ece.v1.json")]
        self.socket = stack.enter_context(connect(url, subprotocols=protocols, proxy=None))
        assert self.ask("hello", token=token)["ok"]

    def _rest(self, path: str, key: str | None = None, **body: Any) -> dict[str, Any]:
        answer = self._api.post(path, json=body, headers={"Idempotency-Key": key or os.urandom(8).hex()})
        assert answer.status_code in (200, 201), answer.text
        members: dict[str, Any] = answer.json()
        return members

    def deposit(self, amount: int) -> None:
        self._rest("ledger/deposits", amount=amount, currency="USDC")

    def offered_again(self, key: str, **body: Any) -> dict[str, Any]:
        """The same offer over REST, with the same key."""
        return self._rest("trades", key, **body)

    def read(self, path: str) -> Any:
        return self._api.get(path).json()

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """The reply to a frame; what else comes is kept."""
        self._number += 1
        self.socket.send(json.dumps({"op": op, "id": self._number, **fields}))
        while True:
            frame = json.loads(self.socket.recv(REPLY_WITHIN_S))
            if frame.get("id") == self._number:
                return dict(frame)
            self.frames.append(frame)

    def done(self, op: str, **fields: Any) -> dict[str, Any]:
        """The reply to a command with a new key, which has to go well."""
        reply = self.ask(op, key=os.urandom(8).hex(), **fields)
        assert reply["ok"], reply
        return reply

    def hears(self, kind: str, **data: Any) -> dict[str, Any]:
        """The next frame of this type whose data have these fields."""
        while True:
            while self.frames:
                frame = self.frames.pop(0)
                if frame.get("type") == kind and data.items() <= frame["data"].items():
                    return frame
            self.frames.append(json.loads(self.socket.recv(REPLY_WITHIN_S)))


def cards_for(up: Up, maker: Trader, **owners: str) -> dict[str, str]:
    """A new copy for each of these, made by an operator."""
    environment = {"PATH": os.environ["PATH"], "ECE_DATA_DIR": str(up.data_dir.path), "ECE_PORT": str(up.port)}
    subprocess.run(
        [sys.executable, "-m", "ece.cli", "roles", "grant", "maker", "admin"], env=environment, check=True, timeout=60
    )
    token = maker._rest("auth/login", login="maker", password="correct horse battery")["access_token"]
    maker._api.headers["Authorization"] = f"Bearer {token}"
    maker._rest("admin/catalog/cards", set="sockets", number="1", name="Water", rarity="rare")
    [card] = maker.read("catalog/cards?set=sockets")["items"]
    return {
        name: maker._rest(f"admin/catalog/cards/{card['id']}/copies", count=1, owner=owner)["copies"][0]
        for name, owner in owners.items()
    }


def test_two_users_trade_over_their_sockets_and_nobody_else_sees_it(two_gateways: Up) -> None:
    with ExitStack() as stack:
        una, ben, cyd, maker = (Trader(two_gateways, name, stack) for name in ("una", "ben", "cyd", "maker"))
        una.deposit(5 * USD)
        copies = cards_for(two_gateways, maker, hers="una", his="ben")
        traded(una, ben, cyd, copies)


def traded(una: Trader, ben: Trader, cyd: Trader, copies: dict[str, str]) -> None:
    """From the offer to the dispute."""
    gives = {"giver": una.id, "receiver": ben.id, "copies": [copies["hers"]]}
    gets = {"giver": ben.id, "receiver": una.id, "copies": [copies["his"]]}
    offered = una.ask("trade_offer", key="offer", legs=[gives, gets])
    trade, channel = offered["trade"], f"trade:{offered['trade']}"
    assert una.ask("trade_offer", key="offer", legs=[gives, gets])["trade"] == trade
    assert una.ask("trade_offer", key="offer", legs=[gets, gives])["error"]["code"] == "invalid_frame"
    assert una.ask("subscribe", channel=channel)["ok"]
    assert ben.ask("subscribe", channel=channel)["state"]["status"] == "open"
    assert cyd.ask("subscribe", channel=channel)["error"]["code"] == "not_found"
    assert cyd.ask("trade_accept", key="k", trade=trade, hash=offered["hash"])["error"]["code"] == "not_found"
    both = sorted([una.id, ben.id])
    una.hears("presence", present=both)
    ben.hears("presence", present=both)
    ben.ask("trade_typing", trade=trade)
    una.hears("typing", by=ben.id)
    ben.done("trade_message", trade=trade, text="And a dollar? ben@example.org")
    una.hears("message", text="And a dollar? •••")
    una.done("trade_edit", trade=trade, draft=0, legs=[gives | {"money": USD}])
    ben.hears("edited", draft=1)
    stale = ben.ask("trade_edit", key="k", trade=trade, draft=0, legs=[])
    assert (stale["error"]["code"], stale["error"]["draft"]) == ("stale_terms", 1)
    countered = ben.done("trade_counter", trade=trade, version=1, legs=[gives | {"money": USD}, gets])
    agreed = una.done("trade_accept", trade=trade, hash=countered["hash"])
    for trader in (una, ben):
        trader.done("trade_confirm", trade=trade, hash=agreed["hash"])
    executed = ben.hears("executed")
    assert una.hears("executed")["seq"] == executed["seq"]
    assert {name: una.read(f"copies/{copy}")["owner"] for name, copy in copies.items()} == {"hers": "ben", "his": "una"}
    [entry] = [one for one in una.read("trades")["items"] if one["id"] == trade]
    assert entry["money"] == USD
    ben.socket.close()
    una.hears("presence", present=[una.id])
    assert una.done("trade_dispute", trade=trade, reason="Not the card of the picture")["outcome"] == "disputed"
