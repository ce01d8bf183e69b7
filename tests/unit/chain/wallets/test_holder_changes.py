"""What a subscription to the program of a standard says about holders; what can't be read says nothing."""

import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from solders.pubkey import Pubkey

from chain import base58
from chain.rpc.notices import Missed, Update
from chain.standards.registry import STANDARDS
from chain.wallets.holder_changes import HolderChange, HolderChanges

ASSET, HOLDER, ACCOUNT = (Pubkey([number] * 32) for number in (3, 4, 5))
HELD = bytes(ASSET) + bytes(HOLDER) + (1).to_bytes(8, "little")
CORE = b"\1" + bytes(HOLDER)


class Subscribed:
    """Subscriptions that give these notices."""

    def __init__(self, *notices: Update | Missed) -> None:
        self._notices = notices
        self.asked: tuple[Any, ...] = ()

    def program(self, *asked: Any) -> "Subscribed":
        self.asked = asked
        return self

    async def __aiter__(self) -> AsyncIterator[Update | Missed]:
        for notice in self._notices:
            yield notice

    def close(self) -> None:
        pass


def update(data: bytes, slot: int | None = 9, address: object = str(ACCOUNT)) -> Update:
    return Update(slot, {"pubkey": address, "account": {"data": [base64.b64encode(data).decode(), "base64"]}})


async def changes(standard: str, *notices: Update | Missed) -> Sequence[HolderChange]:
    subscribed: Any = Subscribed(*notices)
    return [change async for change in HolderChanges(subscribed, standard)]


async def test_the_account_of_a_token_and_an_asset_of_core_say_who_has_it():
    assert await changes("token-2022", update(HELD)) == [HolderChange(str(ASSET), str(HOLDER), 9)]
    assert await changes("core", update(CORE)) == [HolderChange(str(ACCOUNT), str(HOLDER), 9)]


@pytest.mark.parametrize(
    "notice",
    [
        Missed("subscribed"),
        update(HELD, slot=None),
        update(HELD[:-8] + bytes(8)),
        update(HELD[:40]),
        update(b""),
        update(HELD, address=None),
        update(HELD, address="nothing"),
        Update(9, None),
        Update(9, {"pubkey": str(ACCOUNT), "account": None}),
        Update(9, {"pubkey": str(ACCOUNT), "account": {"data": ["?", "base64"]}}),
    ],
)
async def test_what_is_no_holding_or_can_not_be_read_is_passed_over(notice: Update | Missed):
    assert await changes("token-2022", notice, update(HELD)) == [HolderChange(str(ASSET), str(HOLDER), 9)]


async def test_a_burnt_asset_of_core_has_no_holder():
    assert await changes("core", update(b"\0" + bytes(HOLDER))) == []


def test_filters_ask_for_what_is_read():
    for name, expected in (("token-2022", HELD[64:72]), ("core", CORE[:1])):
        subscribed: Any = Subscribed()
        HolderChanges(subscribed, name)
        program, [one], commitment, data_slice = subscribed.asked
        assert (program, commitment) == (STANDARDS[name].program, "finalized")
        assert one["memcmp"]["bytes"] == base58.encode(expected)
        assert data_slice == (0, len(HELD if name == "token-2022" else CORE))
