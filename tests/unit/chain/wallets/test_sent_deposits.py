"""How a deposit stands on the chain, also when its user asks again long after it was sent."""

from typing import Any

import pytest
from solders.hash import Hash
from solders.signature import Signature

from chain.rpc.client import ChainRpc
from chain.transactions.deposit import SignedDeposit
from chain.wallets.outside import OutsideDeposits, SentDeposit
from tests.unit.chain.rpc.faulty_server import HASH, FaultyServer, serving

SIGNED = SignedDeposit(b"raw", Signature.default(), Hash.from_string(HASH))
FINAL = {"slot": 10, "err": None, "confirmationStatus": "finalized"}
FAILED = FINAL | {"err": "AccountNotFound"}


async def sent(*, lives: bool, recent: Any = None, history: Any = None) -> tuple[SentDeposit, int]:
    """What the user is told, and how often the transaction was handed over."""
    server = FaultyServer()

    def statuses(request: dict[str, Any]) -> Any:
        searched = request["params"][1]["searchTransactionHistory"]
        return server.of([recent if recent is not None or not searched else history])

    server.replies |= {"isBlockhashValid": lambda _: server.of(lives), "getSignatureStatuses": statuses}
    async with serving(server):
        rpc = ChainRpc([server.url])
        await rpc.start()
        found = await OutsideDeposits(rpc).send(SIGNED)
        await rpc.stop()
    return found, server.calls["sendTransaction"]


@pytest.mark.parametrize(
    ("history", "told"),
    [(FINAL, SentDeposit("final")), (FAILED, SentDeposit("failed", "AccountNotFound")), (None, SentDeposit("expired"))],
)
async def test_one_that_only_the_history_knows_has_not_expired(history: Any, told: SentDeposit):
    assert await sent(lives=False, history=history) == (told, 0)


async def test_one_that_can_still_land_is_handed_over_without_a_search():
    assert await sent(lives=True, history=FINAL) == (SentDeposit("sent"), 1)


async def test_one_that_has_landed_lately_is_not_sent_again():
    assert await sent(lives=True, recent=FINAL) == (SentDeposit("final"), 0)
