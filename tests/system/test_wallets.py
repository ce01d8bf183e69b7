"""Money between the ledger and the chain of a running engine: a withdrawal to an outside wallet, and a deposit back."""

import itertools
import os
import signal
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from engines import SharedEngine, until
from solders.keypair import Keypair

pytestmark = pytest.mark.timeout(300)

USD = 1_000_000
PASSWORD = "correct horse battery"
# Finality takes 32 slots of 400 ms.
WITHIN_S = 90.0

_numbers = itertools.count(1)


class User:
    """Someone registered, over REST."""

    def __init__(self, engine: SharedEngine, name: str) -> None:
        self._http = httpx.Client(base_url=f"{engine.base_url}/api/v1", timeout=30.0, trust_env=False)
        self.post("/auth/register", {"email": f"{name}@example.org", "username": name, "password": PASSWORD})
        tokens = self.post("/auth/login", {"login": name, "password": PASSWORD})
        self._http.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    def get(self, path: str) -> Any:
        return self._http.get(path).raise_for_status().json()

    def post(self, path: str, body: Any) -> Any:
        answer = self._http.post(path, json=body, headers={"Idempotency-Key": f"wallets-{next(_numbers)}"})
        assert answer.is_success, answer.text
        return answer.json()

    def balance(self) -> tuple[int, int]:
        (usdc,) = self.get("/ledger/balance")["balances"]
        return usdc["posted"], usdc["pending"]

    def withdrawn(self, amount: int, destination: str) -> Callable[[], bool]:
        """Withdraw, and say whether it is paid yet."""
        made = self.post("/ledger/withdrawals", {"amount": amount, "currency": "USDC", "destination": destination})

        def paid() -> bool:
            found = self.get(f"/ledger/withdrawals/{made['id']}")
            assert found["state"] in ("waiting_for_chain", "sending", "paid"), found
            return bool(found["state"] == "paid")

        return paid

    def close(self) -> None:
        self._http.close()


class Chain:
    """The chain of the engine, as anybody sees it."""

    def __init__(self, engine: SharedEngine) -> None:
        state = engine.data_dir.read_state()
        assert state is not None
        self._url, self._mint = state.solana_rpc_url, state.usdc_mint

    def call(self, method: str, *params: object) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = httpx.post(self._url, json=request, timeout=10.0, trust_env=False).json()
        assert "error" not in answer, answer
        return answer["result"]

    def usdc_of(self, wallet: str) -> int:
        found = self.call("getTokenAccountsByOwner", wallet, {"mint": self._mint}, {"encoding": "jsonParsed"})["value"]
        return sum(int(one["account"]["data"]["parsed"]["info"]["tokenAmount"]["amount"]) for one in found)


@pytest.fixture
def ann(engine: SharedEngine):
    engine.wait_until_ready()
    user = User(engine, f"wallets{os.getpid()}n{next(_numbers)}")
    yield user
    user.close()


def test_a_withdrawal_is_paid_on_the_chain_and_a_deposit_comes_back(engine: SharedEngine, ann: User) -> None:
    chain, outside = Chain(engine), str(Keypair().pubkey())
    ann.post("/ledger/deposits", {"amount": 50 * USD, "currency": "USDC"})
    until(ann.withdrawn(20 * USD, outside), WITHIN_S, "the withdrawal is paid")
    assert chain.usdc_of(outside) == 20 * USD
    assert ann.balance() == (30 * USD, 0)
    custodial = ann.get("/wallets")["custodial"]["address"]
    chain.call("ece_airdropUsdc", custodial, 7 * USD)
    until(lambda: ann.balance() == (37 * USD, 0), WITHIN_S, "the deposit is credited")
    (deposit,) = ann.get("/wallets/deposits")["items"]
    assert deposit["amount"] == 7 * USD
    until(lambda: chain.usdc_of(custodial) == 0, WITHIN_S, "the deposit is moved to the treasury")
    kinds = {item["kind"] for item in ann.get("/notifications")["items"]}
    assert kinds == {"deposit", "withdrawal_paid"}


def test_workers_and_the_chain_may_die_in_between(engine: SharedEngine, ann: User) -> None:
    chain, outside = Chain(engine), str(Keypair().pubkey())
    ann.post("/ledger/deposits", {"amount": 50 * USD, "currency": "USDC"})
    custodial = ann.get("/wallets")["custodial"]["address"]
    paid = ann.withdrawn(20 * USD, outside)
    chain.call("ece_airdropUsdc", custodial, 7 * USD)
    state = engine.data_dir.read_state()
    assert state is not None
    for name, pid in state.children.items():
        if name.startswith("worker") or name == "chain":
            os.kill(pid, signal.SIGKILL)
    engine.wait_until_ready()
    until(paid, WITHIN_S, "the withdrawal is paid")
    until(lambda: ann.balance()[0] >= 30 * USD, WITHIN_S, "the ledger has it")
    assert chain.usdc_of(outside) == 20 * USD
