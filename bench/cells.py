"""Cells of the tables in reports."""

from collections.abc import Mapping, Sequence

NONE = "—"


def rate(per_s: float) -> str:
    """`12,345`."""
    return f"{per_s:,.0f}"


def span(rates: Sequence[float]) -> str:
    """Least to most, or the only one."""
    return rate(rates[0]) if len(rates) == 1 else f"{rate(min(rates))}–{rate(max(rates))}"


def pair(latencies: Mapping[str, float | None], names: tuple[str, str] = ("p50", "p99")) -> str:
    """Two percentiles in milliseconds: `4.0 / 12.5`."""
    return " / ".join(ms(latencies[name]) for name in names)


def ms(value: float | None) -> str:
    """Milliseconds with one decimal below 100."""
    return NONE if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def percent(share: float | None) -> str:
    """A share (0 to 1) in percent."""
    return NONE if share is None else f"{share:.0%}"
