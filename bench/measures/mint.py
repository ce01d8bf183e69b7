"""Minting: copies of a card requested over REST, minted by the pool on the local chain, and counted on the chain."""

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from bench.cells import rate
from bench.definition import Bench, BenchFailed, Context, Option, Report, Table
from bench.engine import OwnEngine
from bench.wire.accounts import OPERATOR_ROLE, Roster
from bench.wire.rest_client import RestClient
from chain.bundle import Bundle
from chain.local.ledger.bank import new_svm
from chain.programs.addresses import TOKEN_2022
from chain.rpc.answers import RecentBlockhash
from chain.rpc.client import ChainRpc
from chain.signing import LocalSigner
from chain.standards.standard import AssetTerms, CollectionTerms
from chain.standards.token_2022 import Token2022
from chain.transactions.building import Fee, build
from chain.transactions.packing import pack
from persistence.chain.jobs import ChainJobs
from persistence.postgres.pool import close_pool, open_pool

ARTIST = "bench_artist"
GOAL_SHARE = 1 / 3
POLL_S = 0.5
WITHIN_S = 900.0
PAGE = 500
AIRDROP = 10**13
URI = "ipfs://bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
SVM_MINTS = 1_000
# A token account with the extension that its owner can't change.
TOKEN_ACCOUNT_BYTES = 170
LAMPORTS_PER_SIGNATURE = 5_000
QUEUED, QUEUED_KIND, CLAIMS, CLAIM = (2_000, 100_000), "bench_queued", 20, 64
_QUEUE = "INSERT INTO chain_jobs (kind, key) SELECT $1, number::text FROM generate_series($2::int, $3::int) AS number"

NFTS = Option(("--nfts",), int, 2_000, "NFTS", "NFTs for each number of pool actors.", minimum=20, maximum=10_000)
ACTORS = Option(
    ("--actors",), list[str], ["1", "2", "4"], "ACTORS", "Only with so many pool actors.", choices=("1", "2", "4")
)


def _bundles(payer: Pubkey, authority: Pubkey, count: int, minimum: Any) -> tuple[Bundle, list[Bundle]]:
    """A collection, and mints as the pool makes them."""
    standard, owner = Token2022(), Keypair().pubkey()

    def rents(size: int) -> dict[int, int]:
        return {size: minimum(size)}

    terms = CollectionTerms("Bench", "BENCH", URI, count)
    collection = standard.create_collection(payer, authority, "c", terms, rents(standard.collection_bytes(terms)))
    address, mints = standard.collection_address(authority, "c"), []
    for number in range(count):
        asset = AssetTerms(f"Bench card #{number}", "BENCH", URI, address)
        mints.append(standard.mint(payer, authority, str(number), owner, asset, rents(standard.asset_bytes(asset))))
    return collection, mints


async def measure_svm(count: int = SVM_MINTS) -> dict[str, float]:
    """Mints a second that LiteSVM executes with nothing around it: transactions are signed before."""
    svm, payer, authority = new_svm(), Keypair(), Keypair()
    svm.airdrop(payer.pubkey(), AIRDROP)
    rent = svm.minimum_balance_for_rent_exemption
    collection, mints = _bundles(payer.pubkey(), authority.pubkey(), count, rent)
    batches = pack(payer.pubkey(), mints, [count] * count)
    blockhash = RecentBlockhash(svm.latest_blockhash(), 0)
    ready = []
    for bundles in ([collection], *([mints[place] for place in batch] for batch in batches)):
        fee = Fee(sum(one.compute_units for one in bundles))
        signed = await build(LocalSigner(payer), [LocalSigner(authority)], bundles, blockhash, fee)
        ready.append(VersionedTransaction.from_bytes(signed.raw))
    # The collection, and some to warm up.
    warm_up = 1 + len(batches) // 10
    _execute(svm, ready[:warm_up])
    began = time.perf_counter()
    _execute(svm, ready[warm_up:])
    seconds = time.perf_counter() - began
    executed = sum(len(batch) for batch in batches[warm_up - 1 :])
    return {"mints_per_s": round(executed / seconds, 1), "nfts_per_transaction": round(count / len(batches), 2)}


def _execute(svm: LiteSVM, transactions: Sequence[VersionedTransaction]) -> None:
    for one in transactions:
        result: Any = svm.send_transaction(one)
        if hasattr(result, "err"):
            raise BenchFailed(f"LiteSVM refused a mint: {result.err()}")


async def measure_pool(engine: OwnEngine, nfts: int) -> dict[str, Any]:
    """Request so many copies of a new card, wait until the request is finished, and scan the chain."""
    roster = Roster(engine.accounts)
    await roster.enlist([ARTIST], OPERATOR_ROLE)
    rest, rpc = RestClient(engine.base_url, roster), ChainRpc([engine.rpc_url])
    await rpc.start()
    try:
        card = await _card(rest)
        # The collection is on the chain, and the fee payers have funds, before the time is taken.
        await _finished(rest, await _asked(rest, card, 1))
        spent = await _balances(engine, rpc)
        began = time.perf_counter()
        mint = await _asked(rest, card, nfts)
        samples = await _finished(rest, mint)
        seconds = time.perf_counter() - began
        lamports = spent - await _balances(engine, rpc)
        expected = await _addresses(rest, mint)
        on_chain = await _scanned(rpc)
    finally:
        await rpc.stop()
        await rest.close()
    return {
        "nfts": nfts,
        "seconds": round(seconds, 2),
        "nfts_per_s": round(_rate(samples), 1),
        "lamports_per_nft": round(lamports / nfts),
        "minted": sum(on_chain.get(one, 0) > 0 for one in expected),
        "lost": sum(on_chain.get(one, 0) == 0 for one in expected),
        "doubled": sum(count > 1 for count in on_chain.values()),
        "nfts_per_transaction": await _nfts_per_transaction(engine.database_url),
    }


async def _card(rest: RestClient) -> str:
    body = {"set": "bench", "number": "1", "name": "Bench card", "rarity": "rare"}
    await rest.post(ARTIST, "/admin/catalog/cards", body)
    page = await rest.get(ARTIST, "/catalog/cards?set=bench&limit=1")
    return str(page["items"][0]["id"])


async def _asked(rest: RestClient, card: str, count: int) -> str:
    return str((await rest.post(ARTIST, "/mints", {"card": card, "count": count}))["id"])


async def _finished(rest: RestClient, mint: str) -> list[tuple[float, int]]:
    """(time, copies that are minted) until all are. Raises BenchFailed."""
    samples: list[tuple[float, int]] = []
    ends = time.perf_counter() + WITHIN_S
    while time.perf_counter() < ends:
        found = await rest.get(ARTIST, f"/mints/{mint}")
        samples.append((time.perf_counter(), found["done"]))
        if found["state"] == "failed":
            raise BenchFailed(f"{found['poisoned']} copies can't be minted")
        if found["state"] == "done":
            return samples
        await asyncio.sleep(POLL_S)
    raise BenchFailed(f"not minted within {WITHIN_S:.0f} s")


def _rate(samples: Sequence[tuple[float, int]]) -> float:
    """Copies a second from the last look before the first was minted to the end: without the time to finality."""
    before = [one for one in samples if one[1] == 0]
    first, last = (before or samples)[-1 if before else 0], samples[-1]
    return (last[1] - first[1]) / max(last[0] - first[0], POLL_S)


async def _addresses(rest: RestClient, mint: str) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        page = await rest.get(ARTIST, f"/mints/{mint}/items?limit={PAGE}{cursor}")
        found += [one["address"] for one in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def _scanned(rpc: ChainRpc) -> dict[str, int]:
    """How many of each mint all wallets of the chain have together: from its token accounts alone."""
    found: dict[str, int] = {}
    for _, account in await rpc.program_accounts(TOKEN_2022, [{"dataSize": TOKEN_ACCOUNT_BYTES}], (0, 72)):
        mint = str(Pubkey.from_bytes(account.data[:32]))
        found[mint] = found.get(mint, 0) + int.from_bytes(account.data[64:72], "little")
    return found


async def _balances(engine: OwnEngine, rpc: ChainRpc) -> int:
    """Lamports of all fee payers."""
    pool = await open_pool(engine.database_url, size_max=1)
    try:
        payers = [row[0] for row in await pool.fetch("SELECT fee_payer FROM minting_actors")]
    finally:
        await close_pool(pool)
    return sum([await rpc.balance(Pubkey.from_string(one), "finalized") for one in payers])


async def _nfts_per_transaction(database_url: str) -> float:
    pool = await open_pool(database_url, size_max=1)
    try:
        average = await pool.fetchval(
            "SELECT avg(jobs)::float8 FROM chain_transactions WHERE state = 'landed' AND jobs > 1"
        )
    finally:
        await close_pool(pool)
    return round(average or 1.0, 2)


async def measure_claims(database_url: str) -> dict[str, float]:
    """Median time of a claim (ms) while so many jobs are queued, of a kind that no actor runs."""
    pool, medians = await open_pool(database_url, size_max=1), dict[str, float]()
    jobs = ChainJobs(pool)
    try:
        for already, queued in pairwise((0, *QUEUED)):
            await pool.execute(_QUEUE, QUEUED_KIND, already + 1, queued, timeout=60)
            times = []
            for _ in range(CLAIMS):
                began = time.perf_counter()
                claimed = await jobs.claim({QUEUED_KIND: CLAIM}, "bench")
                times.append(1000 * (time.perf_counter() - began))
                assert len(claimed) == CLAIM, "there are enough"
            medians[str(queued)] = round(median(times), 2)
    finally:
        await close_pool(pool)
    return medians


async def run_mint(context: Context) -> Report:
    """The bench."""
    nfts, chosen = context.value(NFTS), [int(one) for one in context.value(ACTORS)]
    context.progress("LiteSVM alone")
    svm = await measure_svm()
    runs: dict[str, dict[str, Any]] = {}
    claims: dict[str, float] = {}
    for actors in chosen:
        async with context.engine({"minting_actors": actors}) as engine:
            await context.idle()
            context.progress(f"{nfts:,} NFTs with {actors} pool actors")
            runs[str(actors)] = await measure_pool(engine, nfts)
            claims = claims or await measure_claims(engine.database_url)
    context.progress("LiteSVM alone, again")
    again = await measure_svm()
    svm = max(svm, again, key=lambda one: one["mints_per_s"])
    best = max(run["nfts_per_s"] for run in runs.values())
    packed = max(run["nfts_per_transaction"] for run in runs.values())
    lamports = min(run["lamports_per_nft"] for run in runs.values())
    # Two signatures a transaction: of the fee payer and of the authority.
    saved = round(2 * LAMPORTS_PER_SIGNATURE * (1 - 1 / packed))
    figures = {
        "nfts": nfts,
        "nfts_per_s": {actors: run["nfts_per_s"] for actors, run in runs.items()},
        "seconds": {actors: run["seconds"] for actors, run in runs.items()},
        "nfts_per_transaction": packed,
        "transactions_per_nft": round(1 / packed, 3),
        "svm_per_s": svm["mints_per_s"],
        "share_of_svm": round(best / svm["mints_per_s"], 3),
        "lamports_per_nft": lamports,
        "lamports_per_nft_alone": lamports + saved,
        "minted": sum(run["minted"] for run in runs.values()),
        "lost": sum(run["lost"] for run in runs.values()),
        "doubled": sum(run["doubled"] for run in runs.values()),
        "claim_ms": claims,
        "goals": {"share_of_svm": round(GOAL_SHARE, 3)},
    }
    return Report(figures, [_table(runs), _summary(figures)])


def _table(runs: dict[str, dict[str, Any]]) -> Table:
    rows = [
        [actors, rate(run["nfts_per_s"]), f"{run['seconds']:.1f} s", str(run["lost"]), str(run["doubled"])]
        for actors, run in runs.items()
    ]  # fmt: skip
    return Table("Minted on the local chain", ["pool actors", "NFTs/s", "to finality", "lost", "doubled"], rows)


def _summary(figures: dict[str, Any]) -> str:
    return (
        f"{figures['nfts_per_transaction']} NFTs a transaction; {figures['share_of_svm']:.0%} of the "
        f"{figures['svm_per_s']:,.0f} mints/s of LiteSVM alone; {figures['lamports_per_nft']:,} lamports an NFT "
        f"({figures['lamports_per_nft_alone']:,} with one a transaction). A claim of {CLAIM} jobs takes "
        + ", ".join(f"{ms} ms of {int(queued):,} queued" for queued, ms in figures["claim_ms"].items())
        + "."
    )


mint = Bench(
    "mint",
    "NFTs a second, from the request to finality on the local chain.",
    "Copies of one card are requested over REST and minted by 1, 2 and 4 pool actors, each with a new engine. "
    "`nfts_per_s` is the rate at which they become final; `seconds` includes the 13 s that finality takes.\n\n"
    "`share_of_svm` compares the best rate with what LiteSVM alone executes of the same transactions, measured before "
    "and after. `minted`, `lost` and `doubled` come from a scan of all token accounts of the chain. `claim_ms` is the "
    "time of a claim by the number of jobs that are queued.",
    (NFTS, ACTORS),
    run_mint,
)
