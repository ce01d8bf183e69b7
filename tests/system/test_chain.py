"""The chain of a running engine: it is there by default, it is killed and comes back, and it can be left out."""

import os
import signal

import httpx
import pytest
from engines import Up, until
from solders.pubkey import Pubkey

pytestmark = pytest.mark.timeout(240)


def call(url: str, method: str, *params: object) -> object:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = httpx.post(url, json=request, timeout=10.0, trust_env=False).json()
    return answer["result"]


def answers(url: str) -> bool:
    try:
        return call(url, "getHealth") == "ok"
    except httpx.HTTPError:
        return False


def test_the_chain_of_a_running_engine_is_killed_and_goes_on_with_its_state(up: Up) -> None:
    up.start()
    state = up.wait_until_ready()
    url, owner = state.solana_rpc_url, str(Pubkey.new_unique())
    up.says(f"Chain     {url}")
    assert call(url, "ece_usdcMint") == state.usdc_mint
    signature = call(url, "requestAirdrop", owner, 10**9)

    def confirmed() -> bool:
        value = call(url, "getBalance", owner, {"commitment": "confirmed"})
        return isinstance(value, dict) and value["value"] == 10**9

    until(confirmed, 10, "the airdrop is confirmed")
    slot, others = call(url, "getSlot", {"commitment": "processed"}), {**state.children}
    killed = others.pop("chain")
    os.kill(killed, signal.SIGKILL)
    up.says("Chain was killed by SIGKILL; starting it again")
    up.says("Chain serves again")
    until(lambda: answers(url), 10, "the chain answers")
    assert confirmed()
    [status] = call(url, "getSignatureStatuses", [signature])["value"]  # type: ignore[index]
    assert status["confirmationStatus"] == "finalized"
    assert call(url, "getSlot", {"commitment": "processed"}) > slot  # type: ignore[operator]
    now = up.wait_until_ready()
    assert now.children["chain"] != killed
    assert {name: pid for name, pid in now.children.items() if name != "chain"} == others
    assert up.interrupt() == 0
    assert up.left_behind() == []

    # The next start has the same URL, the same USDC and the same accounts.
    up.start()
    again = up.wait_until_ready()
    assert (again.solana_rpc_url, again.usdc_mint) == (url, state.usdc_mint)
    assert confirmed()
    assert up.interrupt() == 0


def test_an_engine_can_run_without_a_chain(up: Up) -> None:
    up.set(ECE_SOLANA_RPC_URL="none")
    up.start()
    state = up.wait_until_ready()
    assert (state.solana_rpc_url, "chain" in state.children) == ("none", False)
    assert up.interrupt() == 0
