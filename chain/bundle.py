"""Instructions that have to be in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from solders.instruction import Instruction
from solders.pubkey import Pubkey


@dataclass(frozen=True, slots=True)
class Bundle:
    """What has to happen together. ``signers`` beside the payer.

    ``trace_entries``: its instructions with those that they call; ``compute_units``: what it may use. Both are
    estimates that are not too low.
    """

    instructions: tuple[Instruction, ...]
    signers: frozenset[Pubkey]
    trace_entries: int
    compute_units: int


def joined(bundles: Sequence[Bundle]) -> Bundle:
    """One bundle of all these, in their order."""
    return Bundle(
        tuple(one for bundle in bundles for one in bundle.instructions),
        frozenset().union(*(bundle.signers for bundle in bundles)),
        sum(bundle.trace_entries for bundle in bundles),
        sum(bundle.compute_units for bundle in bundles),
    )
