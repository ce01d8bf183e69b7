"""How long to wait before a dead process is started again, and when to give up."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Backoff:
    """Each death soon after a start doubles the pause, up to a limit. A long life resets it."""

    first_s: float = 0.1
    longest_s: float = 5.0
    quick_s: float = 10.0
    deaths_max: int = 10
    deaths: int = 0

    def after_death(self, lived_s: float) -> "Backoff":
        """The state after the death of a process that lived this long."""
        return replace(self, deaths=1 if lived_s >= self.quick_s else self.deaths + 1)

    @property
    def exhausted(self) -> bool:
        """Whether there were too many quick deaths in a row to try again."""
        return self.deaths >= self.deaths_max

    @property
    def pause_s(self) -> float:
        if self.deaths == 0:
            return 0.0
        return float(min(self.longest_s, self.first_s * 2 ** (self.deaths - 1)))
