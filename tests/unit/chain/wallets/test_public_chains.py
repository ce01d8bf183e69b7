"""Whether the wallets of a deposit know its chain."""

import pytest

from chain.rpc.client import ChainRpc
from chain.wallets.outside import OutsideDeposits
from tests.unit.chain.rpc.faulty_server import GENESIS, HASH, FaultyServer, serving


@pytest.mark.parametrize(
    ("genesis", "name"),
    [
        (GENESIS, "solana:mainnet"),
        ("EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG", "solana:devnet"),
        (HASH, None),
    ],
)
async def test_public_chains_have_the_names_that_wallets_give_them(genesis: str, name: str | None):
    server = FaultyServer(genesis=genesis)
    async with serving(server):
        rpc = ChainRpc([server.url])
        await rpc.start()
        deposits = OutsideDeposits(rpc)
        assert await deposits.public_name() == name
        asked = server.calls["getGenesisHash"]
        # It stays what it is.
        assert await deposits.public_name() == name
        assert server.calls["getGenesisHash"] == asked
        await rpc.stop()
