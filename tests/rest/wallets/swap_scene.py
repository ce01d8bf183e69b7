"""Two users with outside wallets over REST, a real PostgreSQL, the minting pool, and a real local chain."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from chain.programs.addresses import TOKEN, token_account_of
from chain.rpc.answers import RecentBlockhash
from chain.signing import LocalSigner
from chain.standards.standard import AssetTerms
from chain.standards.token_2022 import Token2022
from chain.transactions.building import Fee, build
from chain.transactions.cosigned import stored_message
from chain.transactions.swap_message import LOCAL_VERSIONS, SwapBuilder
from chain.wallets.platform_keys import KeySources, PlatformKeys
from domain.ids import id_text, parse_id
from gateway.rest.wallets.services import SwapServices
from persistence.wallets.swaps import Swaps
from tests.chain_process import ChainProcess
from tests.contracts.minting.minting_scene import MintingMember, config_of, member
from tests.rest.rest_engine import Person, RestEngine

STANDARD = Token2022()
NOW = 1_800_000_000_000
WITHIN_S = 60.0
POLL_S = 0.05
ENDS = ("done", "failed", "cancelled", "expired")


@dataclass
class Party:
    """A user, and the key of their outside wallet, which no server has."""

    person: Person
    pair: Keypair

    @property
    def wallet(self) -> str:
        return str(self.pair.pubkey())

    def gives(self, *copies: str, pays: int = 0) -> dict[str, Any]:
        return {"wallet": self.wallet, "copies": list(copies), "pays": pays}

    def signed(self, swap: Mapping[str, Any]) -> str:
        """The signature over the message, as an outside wallet makes it."""
        return str(self.pair.sign_message(base64.b64decode(swap["message"])))

    def whole(self, swap: Mapping[str, Any]) -> bytes:
        """The transaction with this wallet's signature in it."""
        unsigned = VersionedTransaction.from_bytes(base64.b64decode(swap["transaction"]))
        message = stored_message(base64.b64decode(swap["message"]))
        signatures = list(unsigned.signatures)
        signatures[message.signers.index(self.pair.pubkey())] = self.pair.sign_message(message.message)
        return bytes(VersionedTransaction.populate(unsigned.message, signatures))

    async def sign(self, swap: Mapping[str, Any]) -> httpx.Response:
        return await self.person.post(f"/wallets/swaps/{swap['id']}/signatures", {"signature": self.signed(swap)})


class SwapScene:
    """``engine`` takes swaps; ``pool_at_work`` does what is queued for the chain."""

    def __init__(self, engine: RestEngine, database_url: str, chain: ChainProcess, home: Path) -> None:
        self.engine, self.chain, self.home = engine, chain, home
        self.pool = engine.pool
        self.mint = Pubkey.from_string(chain.call("ece_usdcMint"))
        self.config = replace(config_of(database_url, chain, home), usdc_mint=str(self.mint))
        self.keys = PlatformKeys(KeySources(home / "secrets" / "chain"))
        self.issuer = chain.funded()
        mine = SwapServices(Swaps(self.pool), SwapBuilder(self.mint, LOCAL_VERSIONS), str(self.keys.treasury.address))
        services = engine.services
        engine.app.state.services = replace(services, wallets=replace(services.wallets, swaps=mine))

    @asynccontextmanager
    async def pool_at_work(self) -> AsyncIterator[MintingMember]:
        async with member(self.config) as mine:
            yield mine

    async def party(self) -> Party:
        return await linked_party(self.engine)

    async def card(self, owner: Party, royalty: str = "[]") -> str:
        """A minted copy in the outside wallet."""
        copy = await new_copy(self.engine, owner, royalty)
        payer, owner_key = self.issuer.pubkey(), owner.pair.pubkey()
        terms, key = AssetTerms("Card", "CARD", "ipfs://card"), copy
        size = STANDARD.asset_bytes(terms)
        rent = int(self.chain.call("getMinimumBalanceForRentExemption", size))
        await self.land(STANDARD.mint(payer, payer, key, owner_key, terms, {size: rent}))
        asset = STANDARD.asset_address(payer, key)
        await record_asset(self.engine, copy, str(asset), owner.wallet)
        return copy

    async def land(self, bundle: Any, *signers: Keypair) -> None:
        """A transaction that the issuer pays for."""
        payer = LocalSigner(self.issuer)
        recent = RecentBlockhash(self.chain.blockhash(), 2**63 - 1)
        everyone = [payer, *(LocalSigner(one) for one in signers)]
        signed = await build(payer, everyone, [bundle], recent, Fee(400_000))
        self.chain.confirmed(self.chain.send(signed.raw))
        assert self.chain.statuses([str(signed.signature)])[0]["err"] is None

    async def proposed(self, one: Party, gives: dict[str, Any], two: Party, takes: dict[str, Any]) -> dict[str, Any]:
        answer = await one.person.post(
            "/wallets/swaps", {"counterparty": two.person.name, "gives": gives, "takes": takes}
        )
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def swap(self, one: Party, swap: Mapping[str, Any]) -> dict[str, Any]:
        answer = await one.person.get(f"/wallets/swaps/{swap['id']}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while True:
                if await condition():
                    return
                await asyncio.sleep(POLL_S)

    async def until_state(self, one: Party, swap: Mapping[str, Any], *states: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def reached() -> bool:
            found.update(await self.swap(one, swap))
            return found["state"] in states

        await self.until(reached)
        return found

    async def until_nonce_free(self, swap: Mapping[str, Any]) -> None:
        async def freed() -> bool:
            taken = await self.pool.fetchval(
                "SELECT EXISTS (SELECT FROM nonce_accounts WHERE swap_id = $1)", parse_id(swap["id"])
            )
            return not taken

        await self.until(freed)

    async def asset(self, copy: str) -> Pubkey:
        address = await self.pool.fetchval("SELECT address FROM assets WHERE copy_id = $1", parse_id(copy))
        return Pubkey.from_string(address)

    async def holds(self, party: Party, copy: str) -> bool:
        """As the chain says."""
        asset = await self.asset(copy)
        account = str(STANDARD.holding_address(asset, party.pair.pubkey()))
        known = {"encoding": "base64", "commitment": "confirmed"}
        found = self.chain.call("getAccountInfo", account, known)["value"]
        return found is not None and STANDARD.holds(base64.b64decode(found["data"][0]), asset, party.pair.pubkey())

    async def here(self, copy: str) -> tuple[str, str, list[str]]:
        """As the database says: owner, wallet, and how it changed hands."""
        row = await self.pool.fetchrow(
            "SELECT username, holder, place FROM copies c JOIN assets USING (copy_id)"
            " JOIN users u ON u.user_id = c.owner_id WHERE c.copy_id = $1",
            parse_id(copy),
        )
        assert row is not None
        assert row[2] == "withdrawn"
        rows = await self.pool.fetch("SELECT reason FROM provenance WHERE copy_id = $1 ORDER BY seq", parse_id(copy))
        return row[0], row[1], [one[0] for one in rows]

    def usdc(self, wallet: Pubkey) -> int:
        account = str(token_account_of(wallet, self.mint, TOKEN))
        known = {"encoding": "jsonParsed", "commitment": "confirmed"}
        found = self.chain.call("getAccountInfo", account, known)["value"]
        return 0 if found is None else int(found["data"]["parsed"]["info"]["tokenAmount"]["amount"])

    def give_usdc(self, party: Party, amount: int) -> None:
        self.chain.confirmed(self.chain.call("ece_airdropUsdc", party.wallet, amount))

    async def with_platform(self, swap: Mapping[str, Any], *parties: Party) -> bytes:
        """What nobody outside can make: the transaction with the signatures of the platform, too."""
        message = stored_message(base64.b64decode(swap["message"]))
        signatures: dict[Pubkey, Signature] = {
            one.pair.pubkey(): one.pair.sign_message(message.message) for one in parties
        }
        for signer in (self.keys.authority, *self.keys.known_fee_payers()):
            if signer.address in message.signers:
                signatures[signer.address] = await signer.sign(message.message)
        return message.assembled(signatures)


async def linked_party(engine: RestEngine) -> Party:
    """Somebody new with a linked wallet."""
    made = Party(await engine.person(), Keypair())
    await engine.pool.execute(
        "INSERT INTO linked_wallets (address, user_id, nonce, linked_at) VALUES ($1, $2, $1, $3)",
        made.wallet, parse_id(made.person.id), NOW,
    )  # fmt: skip
    return made


async def new_copy(engine: RestEngine, owner: Party, royalty: str = "[]") -> str:
    """A copy of a new card, out of custody."""
    copy = await engine.pool.fetchval(
        "WITH s AS (INSERT INTO card_sets (code, name) SELECT 's' || next_id(), 'Set' RETURNING set_id), k AS ("
        " INSERT INTO cards (set_id, number, name, rarity, creator_id, created_at, updated_at, royalty)"
        " SELECT set_id, '1', 'Card', 'rare', 1, $1, $1, $3::text::jsonb FROM s RETURNING card_id), c AS ("
        " INSERT INTO copies (card_id, serial, owner_id, acquired_at, place) SELECT card_id, 1, $2, $1, 'withdrawn'"
        " FROM k RETURNING copy_id, owner_id), p AS ("
        " INSERT INTO provenance (copy_id, seq, at, reason, to_owner) SELECT copy_id, 1, $1, 'made', owner_id FROM c)"
        " SELECT copy_id FROM c",
        NOW, parse_id(owner.person.id), royalty,
    )  # fmt: skip
    return id_text(copy)


async def record_asset(engine: RestEngine, copy: str, asset: str, holder: str) -> None:
    """The copy is minted, and in this wallet."""
    job = await engine.pool.fetchval(
        "INSERT INTO chain_jobs (kind, key, state) VALUES ('mint', $1, 'done') RETURNING job_id", copy
    )
    await engine.pool.execute(
        "INSERT INTO assets (copy_id, standard, job_id, address, holder, holder_slot, state)"
        " VALUES ($1, 'token-2022', $2, $3, $4, 1, 'minted')",
        parse_id(copy), job, asset, holder,
    )  # fmt: skip
