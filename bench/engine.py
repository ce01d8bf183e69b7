"""The engine under test, as benches see it. Benches reach it over the wire; what only the machine or an operator can do
comes through these protocols."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from bench.wire.accounts import Accounts

# A bench sends as fast as it is answered; with these rate limits the limits would be what is measured.
LIFTED_LIMITS: Mapping[str, int] = {"socket_commands_per_s": 1_000_000, "socket_commands_burst": 1_000_000}


@dataclass(frozen=True)
class HostMemory:
    """Bytes of all hosts together: ``pss`` with their share of what processes share, ``uss`` without."""

    hosts: int
    pss: int
    uss: int


class Hosts(Protocol):
    """The processes that own the auctions."""

    def memory(self) -> HostMemory: ...

    def kill(self) -> int:
        """End all of them with SIGKILL. Returns how many there were."""


class Parts(Protocol):
    """The processes of an engine, by part."""

    async def find(self, part: str) -> int | None:
        """The process id of this part; None where the engine has no such process. Several: the busiest."""

    async def whole(self) -> bool:
        """Whether every process that ran at the start runs, standby hosts included."""

    async def answers(self) -> bool:
        """Whether PostgreSQL answers a query."""


class StartsDuplicates(Protocol):
    """Starts a host with the name and the slots of one that runs, which believes to own them whatever others say."""

    async def __call__(self) -> Callable[[], Awaitable[None]]:
        """What ends it with SIGKILL."""


class CountsParts(Protocol):
    """Counts the processes while the engine is whole: `Parts.whole` compares with what runs then."""

    async def __call__(self, url: str | None = None) -> Parts:
        """`url`: another way to the engine's own database."""


class Mover(Protocol):
    """Which host owns an auction, and moving slots as operators do."""

    async def hosts(self) -> list[str]:
        """The hosts that slots can be moved to."""

    async def move(self, auctions: Sequence[str], host_id: str) -> None:
        """Request that the slots of these auctions move to this host."""

    async def owners(self, auctions: Sequence[str]) -> dict[str, str]:
        """The host that owns each auction, as the directory has it now."""


@dataclass(frozen=True)
class Engine:
    """An engine under test, wherever it runs."""

    base_url: str
    accounts: Accounts
    # Private bytes of the hosts; None when it can't be told.
    host_memory: Callable[[], int | None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class OwnEngine(Engine):
    """An engine that was started for one bench, on temporary data."""

    # The same users as those of `accounts`, but with rate limits and quotas.
    limited_accounts: Accounts
    database_url: str
    redis_url: str
    # The embedded chain.
    rpc_url: str
    hosts: Hosts
    parts: CountsParts
    start_duplicate: StartsDuplicates
    # The process ids of each group of processes, as they are now: hosts, gateway, postgres, …
    processes: Callable[[], Mapping[str, Sequence[int]]]
    # Variable, value, and where it comes from. No secrets.
    settings: Sequence[tuple[str, str, str]]
    mover: Callable[[], AbstractAsyncContextManager[Mover]]
