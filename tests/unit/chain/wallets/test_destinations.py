from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chain.wallets.addresses import InvalidAddress, Reason
from chain.wallets.destinations import Destinations

TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022 = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
OWN, MINT, CUSTODIAL, WALLET = (Keypair.from_seed(bytes([number] * 32)).pubkey() for number in range(1, 5))


@dataclass
class Account:
    owner: Pubkey
    data: bytes = b""


class Chain:
    def __init__(self, account: Account | None) -> None:
        self._account = account

    async def account(self, address: Pubkey) -> Account | None:
        return self._account


class Custodial:
    async def users_of(self, addresses: Sequence[str]) -> Mapping[str, int]:
        return {str(CUSTODIAL): 7} if str(CUSTODIAL) in addresses else {}


def destinations(account: Account | None = None) -> Destinations:
    return Destinations([OWN], [MINT], Custodial(), Chain(account))


@pytest.mark.parametrize("account", [None, Account(Pubkey.default())])
async def test_a_wallet_is_a_destination_whether_it_ever_got_something_or_not(account: Account | None):
    assert await destinations(account).check(str(WALLET)) == WALLET


@pytest.mark.parametrize(
    ("address", "account", "reason"),
    [
        (OWN, None, Reason.OWN),
        (CUSTODIAL, None, Reason.OWN),
        (MINT, None, Reason.MINT),
        (WALLET, Account(LOADER), Reason.PROGRAM),
        (WALLET, Account(TOKEN, bytes(82)), Reason.MINT),
        (WALLET, Account(TOKEN, bytes(165)), Reason.TOKEN_ACCOUNT),
        (WALLET, Account(TOKEN_2022, bytes(165) + b"\1" + bytes(70)), Reason.MINT),
        (WALLET, Account(TOKEN_2022, bytes(165) + b"\2" + bytes(70)), Reason.TOKEN_ACCOUNT),
        (WALLET, Account(Keypair().pubkey()), Reason.OTHER_ACCOUNT),
    ],
)
async def test_what_is_no_wallet_outside_is_refused(address: Pubkey, account: Account | None, reason: Reason):
    with pytest.raises(InvalidAddress) as refused:
        await destinations(account).check(str(address))
    assert refused.value.reason is reason
