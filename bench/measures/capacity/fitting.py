"""The straight line through measured points."""

from collections.abc import Sequence


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The rise of the straight line that fits these points best; 0 for one point."""
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return float(sum((x - mean_x) * (y - mean_y) for x, y in points) / spread) if spread else 0.0
