"""What the README shows, run as it stands there, against a real engine."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from engines import SharedEngine

README = Path(__file__).parents[2] / "README.md"
SHELL_TIMEOUT_S = 100


def blocks(language: str, url: str) -> list[str]:
    """The README's pieces of code in this language, for an engine at this URL."""
    found = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    return [code.replace("http://127.0.0.1:8000", url).replace("ws://127.0.0.1:8000", f"ws{url[4:]}") for code in found]


def test_the_first_bid_and_the_client_work_as_shown(engine: SharedEngine, tmp_path: Path) -> None:
    first_bid, start_client = blocks("sh", engine.base_url)
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
