"""Which host owns an auction of a running engine, and moves them as operators do: for `ece bench move`."""

from collections.abc import Sequence

from actors.placement.membership import SHARED_PREFIX
from domain.ids import id_text, parse_id
from persistence.placement.directory import Directory, slot_of
from persistence.placement.operator_overrides import OperatorOverrides
from persistence.postgres.guard import guarded
from persistence.postgres.pool import Pool

# Queried every few milliseconds, so it reads these auctions' rows alone.
_OWNERS = """
    SELECT auction, coalesce(d.host_id, s.host_id) FROM unnest($1::bigint[], $2::int[]) AS wanted (auction, slot)
    JOIN slots s USING (slot) LEFT JOIN dedicated d ON d.entity_id = auction
"""


class EngineMover:
    """Talks to the engine's database. Every method may raise StoreUnavailable."""

    def __init__(self, pool: Pool, slots_total: int) -> None:
        self._pool = pool
        self._slots_total = slots_total
        self._overrides = OperatorOverrides(pool)

    async def hosts(self) -> list[str]:
        """The hosts that own slots."""
        hosts = await Directory(self._pool).hosts()
        return [host.host_id for host in hosts if host.host_id.startswith(SHARED_PREFIX) and host.slots]

    async def move(self, auctions: Sequence[str], host_id: str) -> None:
        """Request that the slots of these auctions move to this host."""
        await self._overrides.pin_slots(sorted(set(self._slots(auctions))), host_id)

    async def owners(self, auctions: Sequence[str]) -> dict[str, str]:
        """The host that owns each of these auctions, as the directory has it now."""
        ids = [parse_id(auction) for auction in auctions]
        rows = await guarded(self._pool.fetch(_OWNERS, ids, self._slots(auctions)))
        return {id_text(auction): host_id for auction, host_id in rows}

    def _slots(self, auctions: Sequence[str]) -> list[int]:
        return [slot_of(parse_id(auction), self._slots_total) for auction in auctions]
