"""Histories and balances, from answers of any kind."""

from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chain.rpc.client import ChainRpc
from chain.rpc.errors import ChainError, ChainUnavailable, InvalidAnswer
from chain.rpc.history import HistoryEntry, TransactionRecord, final_transaction, history_of


class Rpc:
    """Answers with this; keeps what was asked."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[tuple[str, list[Any]]] = []

    async def call(self, method: str, params: list[Any], kind: Any) -> Any:
        self.asked.append((method, params))
        try:
            return msgspec.convert(self.answer, kind)
        except msgspec.ValidationError as error:
            raise InvalidAnswer(str(error)) from None


def client(answer: object) -> ChainRpc:
    return cast(ChainRpc, Rpc(answer))


def balance(index: int, amount: object, mint: str = "M") -> dict[str, Any]:
    return {"accountIndex": index, "mint": mint, "owner": "x", "uiTokenAmount": {"amount": amount, "decimals": 6}}


def transaction(before: list[Any], after: list[Any], **meta: Any) -> dict[str, Any]:
    return {
        "slot": 7,
        "blockTime": 1,
        "transaction": {"message": {"accountKeys": ["A", "B"]}, "signatures": ["s"]},
        "meta": {"err": None, "preTokenBalances": before, "postTokenBalances": after, **meta},
    }


async def test_what_a_transaction_added_is_the_difference_of_balances():
    loaded = {"writable": ["C"], "readonly": ["D"]}
    answer = transaction(
        [balance(0, "100"), balance(1, "5")],
        [balance(0, "60"), balance(2, "40"), balance(1, "5"), balance(3, "9", "N")],
        loadedAddresses=loaded,
    )
    changes = {("A", "M"): -40, ("B", "M"): 0, ("C", "M"): 40, ("D", "N"): 9}
    assert await final_transaction(client(answer), "s") == TransactionRecord(7, False, changes)


async def test_a_transaction_that_failed_says_so():
    record = await final_transaction(client(transaction([], [], err={"InstructionError": [0, "Custom"]})), "s")
    assert record.failed


@pytest.mark.parametrize("answer", [None, {**transaction([], []), "meta": None}])
async def test_a_transaction_that_the_endpoint_does_not_have_is_no_answer(answer: object):
    with pytest.raises(ChainUnavailable):
        await final_transaction(client(answer), "s")


@pytest.mark.parametrize(
    "bad", [balance(2, "1"), balance(-1, "1"), balance(0, "-1"), balance(0, "1.5"), balance(0, ""), balance(0, "１"),
            balance(0, 1), {"accountIndex": 0}]
)  # fmt: skip
async def test_a_balance_that_cannot_be_read_is_an_invalid_answer(bad: dict[str, Any]):
    with pytest.raises(InvalidAnswer):
        await final_transaction(client(transaction([], [bad])), "s")


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["slot", "meta", "transaction", "message", "accountKeys", "err", "preTokenBalances"]), inner
    ),
    max_leaves=12,
)  # fmt: skip


@given(json)
async def test_no_other_answer_is_more_than_a_typed_error(answer: object):
    try:
        await final_transaction(client(answer), "s")
    except ChainError:
        return


async def test_a_history_is_asked_for_up_to_what_is_known():
    address = Pubkey.default()
    rpc = Rpc([{"signature": "s", "slot": 3, "err": None, "memo": None, "confirmationStatus": "finalized"}])
    found = await history_of(cast(ChainRpc, rpc), address, before="b", until="u", limit=5_000)
    assert found == [HistoryEntry("s", 3)]
    options = {"commitment": "finalized", "limit": 1_000, "before": "b", "until": "u"}
    assert rpc.asked == [("getSignaturesForAddress", [str(address), options])]
