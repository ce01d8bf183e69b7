"""Packs bundles into as few transactions as hold them, under every limit of the chain at once."""

from collections.abc import Sequence
from typing import NamedTuple

from solders.pubkey import Pubkey

from chain.bundle import Bundle

TRACE_MAX = 64
INSTRUCTIONS_MAX = 64
ADDRESSES_MAX = 64
SIGNATURES_MAX = 12
COMPUTE_UNITS_MAX = 1_400_000
BYTES_MAX = {0: 1_232, 1: 4_096}
# Blockhash, header, config, counts; and the two instructions for the compute budget in version 0.
_FIXED_BYTES = {0: 40 + 3 * 40, 1: 80}
_SIGNATURE_BYTES, _ADDRESS_BYTES, _INSTRUCTION_BYTES = 64, 32, 4


class _Load(NamedTuple):
    """What a transaction holds."""

    addresses: frozenset[Pubkey]
    signers: frozenset[Pubkey]
    instruction_bytes: int
    instructions: int
    trace: int
    units: int
    bundles: int

    def size(self, version: int) -> int:
        """Not less than its bytes."""
        return (
            _FIXED_BYTES[version] + _SIGNATURE_BYTES * len(self.signers) + _ADDRESS_BYTES * len(self.addresses)
            + self.instruction_bytes
        )  # fmt: skip

    def fits(self, version: int) -> bool:
        return (
            self.size(version) <= BYTES_MAX[version]
            and self.trace <= TRACE_MAX
            and self.instructions <= INSTRUCTIONS_MAX
            and len(self.addresses) <= ADDRESSES_MAX
            and len(self.signers) <= SIGNATURES_MAX
            and self.units <= COMPUTE_UNITS_MAX
        )

    def joined(self, other: "_Load") -> "_Load":
        """Both in one transaction."""
        return _Load(
            self.addresses | other.addresses, self.signers | other.signers,
            self.instruction_bytes + other.instruction_bytes, self.instructions + other.instructions,
            self.trace + other.trace, self.units + other.units, self.bundles + other.bundles,
        )  # fmt: skip


class TooLarge(ValueError):
    """A bundle does not fit into a transaction of its own."""


class _Batch:
    """The places of bundles that share a transaction."""

    def __init__(self, place: int, load: _Load, room: int) -> None:
        self.places = [place]
        self._load = load
        self._room = room

    def add(self, place: int, load: _Load, room: int, version: int) -> bool:
        """Whether there was room for it."""
        together, room = self._load.joined(load), min(self._room, room)
        if together.bundles > room or not together.fits(version):
            return False
        self.places.append(place)
        self._load, self._room = together, room
        return True


def pack(
    payer: Pubkey, bundles: Sequence[Bundle], batch_max: Sequence[int], version: int = 1, fill_from: int | None = None
) -> list[list[int]]:
    """The places of bundles by transaction, in their order. Raises TooLarge.

    ``batch_max``: for each bundle, how many may be in a transaction with it. Bundles from ``fill_from`` on go into what
    those before leave free, wherever that is, or else behind them.
    """
    batches: list[_Batch] = []
    for place, bundle in enumerate(bundles):
        alone, room = _load_of(payer, bundle), batch_max[place]
        if not alone.fits(version):
            raise TooLarge(f"a bundle of {alone.size(version)} bytes, {alone.trace} trace entries")
        fills = fill_from is not None and place >= fill_from
        if not any(batch.add(place, alone, room, version) for batch in (batches if fills else batches[-1:])):
            batches.append(_Batch(place, alone, room))
    return [batch.places for batch in batches]


def _load_of(payer: Pubkey, bundle: Bundle) -> _Load:
    addresses = {payer} | {one.program_id for one in bundle.instructions}
    addresses |= {meta.pubkey for one in bundle.instructions for meta in one.accounts}
    size = sum(_INSTRUCTION_BYTES + len(one.accounts) + len(one.data) for one in bundle.instructions)
    return _Load(
        frozenset(addresses), bundle.signers | {payer}, size, len(bundle.instructions), bundle.trace_entries,
        bundle.compute_units, 1,
    )  # fmt: skip
