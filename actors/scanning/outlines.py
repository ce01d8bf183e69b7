"""Finds cards in photographs: quadrilaterals with about the shape of a card. Plain functions that block."""

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from actors.scanning.fingerprints import HEIGHT, WIDTH, Pixels

Outline = npt.NDArray[np.float32]
"""Four corners (x, y), clockwise as they are seen, from the top left one of the card if it is upright."""

# Photographs are looked at in this size: edges of a card are clear, and the work has a bound.
LOOKED_AT_SIDE = 720
OUTLINES_MAX = 4
# Parts of the photograph.
AREA_MIN, AREA_MAX = 0.04, 0.985
# Of the short sides to the long ones: a card has 5 / 7, and perspective shortens one of them.
SHAPE_MIN, SHAPE_MAX = 0.42, 0.98
# Of two outlines whose corners are nearer than this part of their size, the first counts.
SAME_WITHIN = 0.035
CONTOURS_MAX = 12


def outlines(photograph: Pixels) -> list[Outline]:
    """Up to OUTLINES_MAX places where a card may be, the most likely first, in pixels of the photograph."""
    scale = min(1.0, LOOKED_AT_SIDE / max(photograph.shape[:2]))
    size = (max(1, round(photograph.shape[1] * scale)), max(1, round(photograph.shape[0] * scale)))
    small: Pixels = cv2.resize(photograph, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    found: list[tuple[float, Outline]] = []
    for edges in _edges(small):
        for contour in _contours(edges):
            outline = _quadrilateral(contour)
            if outline is not None and (score := _score(outline, contour, small.shape)) > 0:
                found.append((score, outline))
    found.sort(key=lambda one: -one[0])
    kept: list[Outline] = []
    for _, outline in found:
        if not any(_same(outline, other) for other in kept):
            kept.append(outline)
    return [outline / scale for outline in kept[:OUTLINES_MAX]]


def straightened(photograph: Pixels, outline: Outline) -> Pixels:
    """What is inside the outline, as an upright card of WIDTH × HEIGHT."""
    corners = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], np.float32)
    transform = cv2.getPerspectiveTransform(outline.astype(np.float32), corners)
    return cv2.warpPerspective(photograph, transform, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)  # type: ignore[return-value]


def turned(outline: Outline, quarters: int) -> Outline:
    """The same place, with another corner as the top left one."""
    return np.roll(outline, -quarters, axis=0)


def _edges(small: Pixels) -> Iterator[Pixels]:
    """Several maps of edges: what is weak on one background is clear on another."""
    smooth = cv2.bilateralFilter(small, 7, 40, 7)
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB)
    wide = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    light = lab[:, :, 0]
    middle = float(np.median(light))
    for low, high in ((30, 90), (max(10.0, 0.4 * middle), max(40.0, 1.1 * middle))):
        yield cv2.morphologyEx(cv2.Canny(light, low, high), cv2.MORPH_CLOSE, wide)  # type: ignore[misc]
    coloured = [cv2.Canny(lab[:, :, channel], 15, 45) for channel in (1, 2)]
    yield cv2.morphologyEx(cv2.bitwise_or(*coloured), cv2.MORPH_CLOSE, wide)  # type: ignore[misc]
    blurred = cv2.GaussianBlur(light, (0, 0), 4)
    _, dark = cv2.threshold(blurred, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    yield dark  # type: ignore[misc]
    yield cv2.bitwise_not(dark)  # type: ignore[misc]


def _contours(edges: Pixels) -> list[npt.NDArray[np.int32]]:
    area_min = AREA_MIN * edges.shape[0] * edges.shape[1]
    found, _ = cv2.findContours(edges, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    hulls = [cv2.convexHull(contour) for contour in found if len(contour) > 100]
    large = [hull for hull in hulls if cv2.contourArea(hull) > area_min]
    return sorted(large, key=cv2.contourArea, reverse=True)[:CONTOURS_MAX]  # type: ignore[return-value]


def _quadrilateral(hull: npt.NDArray[np.int32]) -> Outline | None:
    """Four lines along the sides of a hull, crossed: round corners do not matter, nor does a finger over one."""
    length = cv2.arcLength(hull, True)
    for part in (0.02, 0.03, 0.05, 0.08):
        rough = cv2.approxPolyDP(hull, part * length, True)
        if len(rough) == 4:
            return _ordered(_along_sides(hull, rough.reshape(4, 2).astype(np.float32)))
        if len(rough) < 4:
            break
    return None


def _along_sides(hull: npt.NDArray[np.int32], rough: Outline) -> Outline:
    points = _dense(hull.reshape(-1, 2).astype(np.float32))
    lines = []
    for corner, following in zip(rough, np.roll(rough, -1, axis=0), strict=True):
        along = following - corner
        length = float(np.hypot(*along)) + 1e-6
        unit = along / length
        at = (points - corner) @ unit
        away = np.abs((points - corner) @ np.array([-unit[1], unit[0]]))
        near = points[(at > 0.15 * length) & (at < 0.85 * length) & (away < 0.05 * length)]
        if len(near) < 8:
            return rough
        x, y, from_x, from_y = cv2.fitLine(near, cv2.DIST_HUBER, 0, 0.01, 0.01).ravel()
        lines.append(np.cross((from_x, from_y, 1.0), (from_x + x, from_y + y, 1.0)))
    corners = []
    for before, line in zip([lines[-1], *lines[:-1]], lines, strict=True):
        x, y, w = np.cross(before, line)
        if abs(w) < 1e-9:
            return rough
        corners.append((x / w, y / w))
    fitted = np.array(corners, np.float32)
    off = float(np.abs(fitted - rough).max())
    return fitted if off < 0.12 * float(np.hypot(*(rough[2] - rough[0]))) else rough


def _dense(hull: Outline) -> Outline:
    """The points along a hull, about one a pixel."""
    pieces = []
    for start, end in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        steps = max(1, round(float(np.hypot(*(end - start)))))
        pieces.append(start + (end - start) * (np.arange(steps)[:, None] / steps))
    return np.concatenate(pieces).astype(np.float32)


def _ordered(outline: Outline) -> Outline:
    """Clockwise; the top side is a short one, and of the two the upper one."""
    centre = outline.mean(axis=0)
    turns = np.arctan2(outline[:, 1] - centre[1], outline[:, 0] - centre[0])
    clockwise = outline[np.argsort(turns)]
    sides = np.hypot(*(np.roll(clockwise, -1, axis=0) - clockwise).T)
    if sides[0] + sides[2] > sides[1] + sides[3]:
        clockwise = turned(clockwise, 1)
    upper = clockwise[:2, 1].mean() <= clockwise[2:, 1].mean()
    return clockwise if upper else turned(clockwise, 2)


def _score(outline: Outline, hull: npt.NDArray[np.int32], shape: tuple[int, ...]) -> float:
    """How likely this is a card; 0: it is none."""
    area = float(cv2.contourArea(outline))
    part = area / (shape[0] * shape[1])
    if not AREA_MIN < part < AREA_MAX or not cv2.isContourConvex(outline):
        return 0
    sides = np.hypot(*(np.roll(outline, -1, axis=0) - outline).T)
    ratio = (sides[0] + sides[2]) / (sides[1] + sides[3])
    if not SHAPE_MIN < ratio < SHAPE_MAX or min(sides[0], sides[2]) < 0.5 * max(sides[0], sides[2]):
        return 0
    if min(sides[1], sides[3]) < 0.5 * max(sides[1], sides[3]):
        return 0
    filled = min(area, cv2.contourArea(hull)) / max(area, cv2.contourArea(hull))
    if filled < 0.9:
        return 0
    return float(filled - abs(ratio - 5 / 7) * 0.5 + part * 0.3)


def _same(one: Outline, other: Outline) -> bool:
    size = float(np.hypot(*(one[2] - one[0])))
    return float(np.abs(one - other).max()) < SAME_WITHIN * size
