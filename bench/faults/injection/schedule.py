"""The faults of a run. They follow from a seed: the same seed gives the same faults at the same times."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.faults.injection.kinds import BY_NAME, KILL, KINDS, PARTS, Kind

TWO_AT_ONCE = 0.2
# Of the time between two faults.
JITTER = 0.3


@dataclass(frozen=True)
class Fault:
    """What happens to these parts at ``at_s`` seconds after the beginning. ``kind`` is the name of a row of the table;
    ``lasts_s`` and ``size`` as there."""

    at_s: float
    kind: str
    parts: tuple[str, ...]
    lasts_s: float = 0.0
    size: float = 0.0

    def __str__(self) -> str:
        text = BY_NAME[self.kind].text.format(" and ".join(self.parts), size=self.size)
        return f"{text} for {self.lasts_s:.1f} s" if self.lasts_s else text

    @property
    def recovers_within_s(self) -> float:
        """From its beginning."""
        return self.lasts_s + BY_NAME[self.kind].recovers_within_s


def schedule(
    seed: int, seconds: float, every_s: float, parts: Sequence[str] = PARTS, kinds: Sequence[Kind] = KINDS
) -> list[Fault]:
    """The faults of ``seconds``, one every ``every_s`` on average: of these kinds, to these parts.

    Raises ValueError where none of the kinds can happen to any of the parts.
    """
    chance = random.Random(seed)
    possible = {kind: [part for part in kind.parts if part in parts] for kind in kinds}
    possible = {kind: found for kind, found in possible.items() if found}
    if not possible:
        raise ValueError("none of these faults can happen to these parts")
    faults: list[Fault] = []
    at_s = every_s
    while round(at_s, 2) < seconds:
        [kind] = chance.choices(list(possible), [one.weight for one in possible])
        faults.append(_fault(chance, round(at_s, 2), kind, possible[kind]))
        at_s += every_s * chance.uniform(1 - JITTER, 1 + JITTER)
    return faults


def _fault(chance: random.Random, at_s: float, kind: Kind, parts: Sequence[str]) -> Fault:
    together = 2 if kind == KILL and chance.random() < TWO_AT_ONCE else 1
    hit = tuple(chance.sample(parts, min(together, len(parts))))
    return Fault(at_s, kind.name, hit, round(chance.uniform(*kind.lasts_s), 1), chance.choice(kind.sizes))
