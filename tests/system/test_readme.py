"""What the README shows, run as it stands there, against a real engine."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from engines import SharedEngine, Up

README = Path(__file__).parents[2] / "README.md"
SHELL_TIMEOUT_S = 100


def blocks(language: str, url: str) -> list[str]:
    """The README's pieces of code in this language, for an engine at this URL."""
    found = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    return [code.replace("http://127.0.0.1:8000", url).replace("ws://127.0.0.1:8000", f"ws{url[4:]}") for code in found]


def test_the_first_bid_and_the_client_work_as_shown(engine: SharedEngine, tmp_path: Path) -> None:
    first_bid, start_client, *_ = blocks("sh", engine.base_url)
    (client,) = blocks("python", engine.base_url)
    # The README's client receives updates until it is stopped: this one stops after the first.
    (tmp_path / "client.py").write_text(client + "        break\n")
    script = first_bid + start_client.replace(".venv/bin/python", sys.executable)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, timeout=SHELL_TIMEOUT_S, text=True,
        capture_output=True, check=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    ann, bob, money, answer, hello, followed, bid, update = map(json.loads, ran.stdout.splitlines())
    assert (ann["user"]["username"], bob["user"]["username"]) == ("ann", "bob")
    assert (money["source"], money["amount"]) == ("faucet", 20_000_000)
    assert (answer["outcome"], answer["price"], answer["duplicate"]) == ("leading", 1_000_000, False)
    assert hello["user"]["username"] == followed["state"]["leader"] == "bob"
    assert (bid["outcome"], bid["price"]) == ("leading", 1_000_000)
    assert (update["channel"], update["type"]) == (f"auction:{answer['auction']}", "bid")


def test_cards_are_minted_sold_and_withdrawn_as_shown(tmp_path: Path) -> None:
    # Finality is the same 32 slots; shorter ones make the test quick.
    up = Up(tmp_path, ECE_CHAIN_SLOT_MS="50")
    up.start()
    try:
        up.wait_until_ready()
        first_bid, _, account, minted, withdrawn = blocks("sh", up.url)
        script = (first_bid + account + minted + withdrawn).replace(".venv/bin/python", sys.executable)
        script = script.replace("scripts/ece", f"{sys.executable} -m ece.cli")
        environment = {"PATH": os.environ["PATH"], "ECE_DATA_DIR": str(up.data_dir.path), "ECE_PORT": str(up.port)}
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, timeout=SHELL_TIMEOUT_S, text=True,
            capture_output=True, env=environment,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert '"code": "second_factor_required"' in ran.stdout
        assert '"code": "unauthenticated"' in ran.stdout
        assert '"username":"ann","at":' in ran.stdout
        answers = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
        [held] = [answer for answer in answers if "asset" in answer]
        assert (held["owner"], held["place"], held["agrees"]) == ("bob", "free", True)
        assert held["chain"]["holder"] == held["holder"]
        [left] = [answer for answer in answers if "requested_at" in answer and "copy" in answer]
        assert (left["copy"], left["state"]) == (held["copy"], "sending")
        assert "100 cards: 100 agree" in ran.stdout
    finally:
        up.close()
