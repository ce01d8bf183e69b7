"""Log-ins while others bid: what hashing passwords costs the bids, and how many reads a second a gateway answers."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import aiohttp

from bench.cells import pair, rate
from bench.definition import Bench, Context, Option, Report, Table
from bench.engine import LIFTED_LIMITS, OwnEngine
from bench.loads.shapes import open_seats
from bench.loads.steady import SteadyResult
from bench.measures.attacks import SHAPE, Bidders
from bench.wire.accounts import Roster

# Each log-in reaches the passwords: only their own bound counts.
SETTINGS: Mapping[str, int] = {
    **LIFTED_LIMITS, "attempts_per_minute": 1_000_000, "logins_per_minute": 1_000_000,
    "connections_per_address_max": 2_000, "requests_per_address_max": 2_000, "requests_max": 2_000,
    "address_requests_per_s": 1_000_000, "address_requests_burst": 1_000_000,
}  # fmt: skip
TIMES_MAX = 2.0
LOGINS = Option(("--logins",), int, 500, "LOGINS", "Log-ins that are begun at once.", minimum=1, maximum=5_000)
SECONDS = Option(("--seconds",), float, 15.0, "SECONDS", "Length of each window of bids.", minimum=1, maximum=600)
READS_S = 3.0
READERS = 16
RETRY_S = 0.5
TIMEOUT = aiohttp.ClientTimeout(total=30)
PASSWORD = "a password of the bench"


class LogIns:
    """Log-ins of one user, each tried again until it succeeds."""

    def __init__(self, base_url: str) -> None:
        self._api = f"{base_url}/api/v1"
        self._name = f"bench_{uuid4().hex[:12]}"
        self.answers: Counter[int] = Counter()

    async def register(self, http: aiohttp.ClientSession) -> None:
        """Create the user, who logs in once."""
        body = {"email": f"{self._name}@bench.example.com", "username": self._name, "password": PASSWORD}
        async with http.post(f"{self._api}/auth/register", json=body) as answer:
            answer.raise_for_status()
        # From now on this address is the user's: there, only the bound of passwords counts.
        await self._log_in(http)
        self.answers.clear()

    async def run(self, http: aiohttp.ClientSession, number: int) -> None:
        """Until so many have succeeded."""
        await asyncio.gather(*(self._log_in(http) for _ in range(number)))

    async def _log_in(self, http: aiohttp.ClientSession) -> None:
        while True:
            async with http.post(f"{self._api}/auth/login", json={"login": self._name, "password": PASSWORD}) as answer:
                await answer.read()
                self.answers[answer.status] += 1
                if answer.status == 200:
                    return
                wait_s = float(answer.headers.get("Retry-After", 0))
            await asyncio.sleep(wait_s + random.uniform(0, RETRY_S))


async def measure_logins(engine: OwnEngine, number: int, seconds: float, progress: Any) -> dict[str, Any]:
    """Bids at a constant rate alone, with the log-ins, and alone again."""
    [seat] = await open_seats(engine, SHAPE)
    bidders, log_ins = Bidders(engine.base_url, seat, seconds), LogIns(engine.base_url)
    connector = aiohttp.TCPConnector(limit=number)
    async with aiohttp.ClientSession(timeout=TIMEOUT, connector=connector, trust_env=False) as http:
        await log_ins.register(http)
        await bidders.bid()
        progress(f"bids alone, {seconds:g} s")
        quiet = [await bidders.bid()]
        progress(f"bids, and {number} log-ins at once")
        hashing = asyncio.create_task(log_ins.run(http, number))
        during = await bidders.bid()
        hashing.cancel()
        await asyncio.gather(hashing, return_exceptions=True)
        progress("bids alone again")
        quiet.append(await bidders.bid())
    times = _times(during, quiet)
    return {
        "logins": number,
        "succeeded": log_ins.answers[200],
        "answers": {str(status): count for status, count in sorted(log_ins.answers.items())},
        "quiet_ack_ms": [one.ack_ms for one in quiet],
        "ack_ms": during.ack_ms,
        "unanswered": during.unanswered,
        "times_quiet": times,
        "goals": {"times_quiet": TIMES_MAX},
    }


def _times(during: SteadyResult, quiet: list[SteadyResult]) -> float | None:
    """The p99 relative to the larger of the windows without log-ins."""
    quiet_ms = max(one.ack_ms["p99"] or 0.0 for one in quiet)
    p99_ms = during.ack_ms["p99"]
    return None if p99_ms is None or not quiet_ms else round(p99_ms / quiet_ms, 2)


async def measure_reads(engine: OwnEngine) -> dict[str, float]:
    """Reads a second in closed loop: of one's own account, with an access token, and of the health, without."""
    roster = Roster(engine.accounts)
    await roster.enlist(["bench_reader"])
    headers = {"Authorization": f"Bearer {roster.token('bench_reader')}"}
    async with aiohttp.ClientSession(base_url=engine.base_url, timeout=TIMEOUT, trust_env=False) as http:
        return {
            "authenticated": await _reads(http, "/api/v1/users/me", headers),
            "open": await _reads(http, "/healthz", {}),
        }


async def _reads(http: aiohttp.ClientSession, path: str, headers: Mapping[str, str]) -> float:
    ends_s, count = time.perf_counter() + READS_S, 0

    async def read() -> None:
        nonlocal count
        while time.perf_counter() < ends_s:
            async with http.get(path, headers=headers) as answer:
                answer.raise_for_status()
                await answer.read()
            count += 1

    await asyncio.gather(*(read() for _ in range(READERS)))
    return round(count / READS_S, 1)


async def run(context: Context) -> Report:
    """The bench."""
    async with context.engine(SETTINGS) as engine:
        await context.idle()
        context.progress("reads")
        reads = await measure_reads(engine)
        figures = await measure_logins(engine, context.value(LOGINS), context.value(SECONDS), context.progress)
    return report(figures | {"reads_per_s": reads})


def report(figures: Mapping[str, Any]) -> Report:
    """The latencies with and without log-ins, and the reads."""
    before, after = figures["quiet_ack_ms"]
    rows = [
        ("bids alone", pair(before)), (f"with {figures['logins']} log-ins", pair(figures["ack_ms"])),
        ("bids alone", pair(after)),
    ]  # fmt: skip
    reads = figures["reads_per_s"]
    return Report(
        figures,
        [
            Table("Bids while passwords are hashed", ("window", "ack ms"), rows),
            f"{figures['succeeded']} log-ins have succeeded meanwhile; the p99 is {figures['times_quiet']} times that "
            f"of bids alone. Goal: {TIMES_MAX:g} at most.",
            f"Authenticated reads: {rate(reads['authenticated'])}/s; of the health: {rate(reads['open'])}/s.",
        ],
    )


logins = Bench(
    "logins",
    "What 500 log-ins at once do to the latency of bids, and how many authenticated reads a gateway answers.",
    "100 bids a second in one auction, in three windows; in the second one so many log-ins begin at once, with the "
    "default cost of bcrypt. A gateway hashes two passwords at a time and lets 32 wait; the others are answered 503 "
    "and try again when the answer says so.",
    (LOGINS, SECONDS),
    run,
)
