"""Members of the minting pool over a real PostgreSQL and a local chain in a process of its own."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from solders.pubkey import Pubkey

from actors.minting.pipeline import PipelineLimits
from actors.minting.pool import MintingConfig, MintingMember
from chain.programs.addresses import TOKEN_2022
from chain.rpc.client import ChainRpc
from chain.standards.registry import WITHOUT_SECRET
from chain.standards.standard import Standard
from chain.standards.token_2022 import Token2022
from chain.wallets.key_files import WalletSecrets
from chain.wallets.platform_keys import KeySources, PlatformKeys
from persistence.minting.reading import Mint, Mints
from persistence.minting.requests import MintOrder, MintRequests
from persistence.postgres.pool import Pool, close_pool, open_pool
from tests.chain_process import ChainProcess

STANDARD = Token2022()
NOW = 1_800_000_000_000
WITHIN_S = 60.0
POLL_S = 0.02
# Slots of the test's chain take 20 ms.
LIMITS = PipelineLimits(follow_s=0.05, poll_s=0.1, back_off_first_s=0.05, back_off_max_s=0.2)


class Silent:
    """An announcer whom nobody hears."""

    def publish(self, channel: str, message: bytes) -> None:
        pass


def config_of(database_url: str, chain: ChainProcess, home: Path, index: int = 0) -> MintingConfig:
    secrets = home / "secrets" / "chain"
    return MintingConfig(
        index, database_url, "", (chain.url,), KeySources(secrets), WalletSecrets(home / "wallets", ["s" * 40]),
        home / "content", None, None, faucet=True, limits=LIMITS,
    )  # fmt: skip


@asynccontextmanager
async def member(
    config: MintingConfig, standards: Mapping[str, Standard] = WITHOUT_SECRET
) -> AsyncIterator[MintingMember]:
    """A member at work; at the end it is cut off, as if it had died."""
    pool = await open_pool(config.database_url, size_max=4)
    rpc = ChainRpc(config.rpc_urls)
    await rpc.start()
    mine = MintingMember(config, pool, rpc, Silent(), standards)  # type: ignore[arg-type]
    running = asyncio.create_task(mine.run())
    try:
        yield mine
    finally:
        failed = running.exception() if running.done() else None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await rpc.stop()
        await close_pool(pool)
        if failed is not None:
            raise failed


class MintingScene:
    """Cards, people, requests, and what the chain says of them."""

    def __init__(self, pool: Pool, chain: ChainProcess, home: Path) -> None:
        self.pool = pool
        self.chain = chain
        self.home = home
        self.requests = MintRequests(pool)
        self.mints = Mints(pool)

    async def person(self) -> int:
        user: int = await self.pool.fetchval(
            "INSERT INTO users (user_id, username, email, email_key)"
            " SELECT id, 'u' || id, 'u' || id || '@x.example', 'u' || id || '@x.example'"
            " FROM next_id() AS id RETURNING user_id"
        )
        return user

    async def card(self, creator: int, edition: int | None = None) -> int:
        card: int = await self.pool.fetchval(
            "WITH s AS (INSERT INTO card_sets (code, name) SELECT 's' || (next_id() % 1000000000), 'Set'"
            " RETURNING set_id)"
            " INSERT INTO cards (set_id, number, name, rarity, creator_id, created_at, updated_at, edition)"
            " SELECT set_id, '1', 'Card', 'rare', $1, $2, $2, $3 FROM s RETURNING card_id",
            creator, NOW, edition,
        )  # fmt: skip
        return card

    async def order(self, requester: int) -> MintOrder:
        return MintOrder(await self.pool.fetchval("SELECT next_id()"), requester, "token-2022", NOW)

    async def asked(self, user: int, count: int, card: int | None = None) -> int:
        """A request to mint so many new copies of a card of this user."""
        order = await self.order(user)
        refused = await self.requests.card(order, card or await self.card(user), count)
        assert refused is None, refused
        return order.id

    async def until_finished(self, mint: int) -> Mint:
        async with asyncio.timeout(WITHIN_S):
            while True:
                found = await self.mints.get(mint)
                assert found is not None
                if found.state != "minting":
                    return found
                await asyncio.sleep(POLL_S)

    async def until_there(self, count: str) -> None:
        """Wait until this query counts something."""
        async with asyncio.timeout(WITHIN_S):
            found = 0
            while not found:
                await asyncio.sleep(POLL_S)
                found = await self.pool.fetchval(count)

    def on_chain(self, owner: Pubkey) -> dict[Pubkey, int]:
        """How often the chain has each mint of Token-2022 in this wallet: a scan of all token accounts."""
        filters = [{"memcmp": {"offset": 32, "bytes": str(owner)}}]
        slice_of = {"encoding": "base64", "filters": filters, "dataSlice": {"offset": 0, "length": 72}}
        found: dict[Pubkey, int] = {}
        for one in self.chain.call("getProgramAccounts", str(TOKEN_2022), slice_of):
            data = base64.b64decode(one["account"]["data"][0])
            mint = Pubkey(data[:32])
            found[mint] = found.get(mint, 0) + int.from_bytes(data[64:72], "little")
        return found

    @property
    def authority(self) -> Pubkey:
        return PlatformKeys(KeySources(self.home / "secrets" / "chain")).authority.address

    async def wallet(self, user: int) -> Pubkey:
        address = await self.pool.fetchval("SELECT address FROM custodial_wallets WHERE user_id = $1", user)
        return Pubkey.from_string(address)
