"""Clients that others wrote meet the local chain: solana-py, @solana/kit and @solana/web3.js 1.x.

Node and its packages are installed once into a cache directory; without them the tests of JavaScript are skipped.
"""

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed, Processed
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests.chain_process import ChainProcess, payment

HERE = Path(__file__).parent
INSTALL_WITHIN_S, RUN_WITHIN_S = 110, 60


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainProcess]:
    with closing(ChainProcess(tmp_path)) as mine:
        mine.start()
        yield mine


@pytest.fixture(scope="session")
def packages() -> Path:
    """The directory with the scripts and their packages."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js and npm are not installed")
    digest = sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ece-tests" / f"foreign-{digest}"
    cache.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, cache)
    if not (cache / "node_modules" / ".package-lock.json").exists():
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        installed = subprocess.run(
            command, cwd=cache, capture_output=True, text=True, timeout=INSTALL_WITHIN_S, check=False
        )
        if installed.returncode:
            pytest.skip(f"the packages can't be installed: {installed.stderr[-300:]}")
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, cache)
    return cache


def run(packages: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        ["node", *arguments], cwd=packages, capture_output=True, text=True, timeout=RUN_WITHIN_S, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.timeout(200)
def test_kit_pays_by_every_version_and_confirms_by_subscription(chain: ChainProcess, packages: Path) -> None:
    answer = run(packages, "kit_client.mjs", chain.url, chain.url.replace("http", "ws"))
    assert answer == {
        "balance": 3 * 10**9,
        "versions": ["legacy", 0, 1],
        "refused": -32002,
        "health": "ok",
    }


@pytest.mark.timeout(200)
def test_web3_js_finds_its_socket_on_the_next_port(chain: ChainProcess, packages: Path) -> None:
    answer = run(packages, "web3_client.mjs", chain.url, chain.call("ece_usdcMint"))
    assert answer == {
        "balance": 10**9,
        "told": 10**9,
        "fee": 5000,
        "inHistory": True,
        "usdc": "2.5",
        "supply": "2500000",
        "version": "4.1.2",
        "slot": True,
        "epoch": 432_000,
    }


@pytest.fixture
async def client(chain: ChainProcess) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(chain.url, timeout=10) as client:
        yield client


async def test_solana_py_reads_what_it_needs(client: AsyncClient) -> None:
    payer, to = Keypair(), Pubkey.new_unique()
    airdrop = (await client.request_airdrop(payer.pubkey(), 5 * 10**9)).value
    await client.confirm_transaction(airdrop, Confirmed, sleep_seconds=0.05)
    latest = (await client.get_latest_blockhash(Confirmed)).value
    sent = (await client.send_raw_transaction(payment(payer, to, 10**9, latest.blockhash))).value
    confirmed = await client.confirm_transaction(
        sent, Confirmed, sleep_seconds=0.05, last_valid_block_height=latest.last_valid_block_height
    )
    assert confirmed.value[0] is not None
    assert (await client.get_balance(to, Confirmed)).value == 10**9
    found = (await client.get_transaction(sent, commitment=Confirmed, max_supported_transaction_version=0)).value
    assert found is not None
    assert [one.signature for one in (await client.get_signatures_for_address(to, commitment=Confirmed)).value] == [
        sent
    ]
    accounts = (await client.get_multiple_accounts([to, Pubkey.new_unique()], Processed)).value
    assert [one and one.lamports for one in accounts] == [10**9, None]
    assert (await client.get_minimum_balance_for_rent_exemption(0)).value == 650_240
    assert (await client.get_recent_prioritization_fees()).value
