"""Creatures made of shapes, each drawn onto a layer of its own. Lengths are in units of the creature's size."""

import math
import random
from collections.abc import Callable
from itertools import pairwise

from PIL import Image, ImageDraw

from ece.demo.scenes import Palette
from ece.demo.shapes import BLACK, WHITE, Colour, Point, curve, mix, placed, regular, taper

# Right half of a face seen from the front: points, and the facets between them with how much light each has.
FACE = {
    "top": (0, -0.42), "crown": (0.3, -0.5), "brow": (0.14, -0.16), "eye": (0.2, 0.0), "temple": (0.5, -0.1),
    "side": (0.74, -0.28), "cheek": (0.84, 0.14), "jaw": (0.48, 0.46), "muzzle": (0.22, 0.5), "bridge": (0, 0.06),
    "nose": (0, 0.84), "chin": (0.2, 0.8),
}  # fmt: skip
FACETS = (
    (("top", "crown", "brow"), 0.78), (("top", "brow", "bridge"), 0.92), (("crown", "temple", "brow"), 0.6),
    (("crown", "side", "temple"), 0.48), (("brow", "temple", "eye"), 0.36), (("side", "cheek", "temple"), 0.4),
    (("temple", "cheek", "jaw"), 0.54), (("temple", "jaw", "eye"), 0.66), (("brow", "eye", "bridge"), 0.7),
    (("eye", "jaw", "muzzle"), 0.8), (("bridge", "eye", "muzzle"), 0.88), (("bridge", "muzzle", "nose"), 1.0),
    (("muzzle", "jaw", "chin"), 0.62), (("muzzle", "chin", "nose"), 0.74),
)  # fmt: skip


class Figure:
    """A layer to draw one creature on, with its colours from dark to light."""

    def __init__(self, chance: random.Random, palette: Palette, size: tuple[int, int]) -> None:
        self.chance = chance
        self.palette = palette
        self.layer = Image.new("RGBA", size, (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.layer)
        self.centre: Point = (size[0] / 2, size[1] * 0.53)
        self.unit = size[1] * 0.36
        self.dark = mix(mix(palette.land, palette.accent, 0.16), BLACK, 0.25)
        self.mid = mix(palette.accent, palette.land, 0.42)
        self.bright = mix(palette.accent, palette.light, 0.5)

    def shade(self, light: float) -> Colour:
        """From dark (0) over mid to bright (1)."""
        return mix(self.dark, self.mid, light * 2) if light < 0.5 else mix(self.mid, self.bright, light * 2 - 1)

    def both(self, points: list[Point], light: float, *, smooth: bool = False, scale: float = 1.0) -> None:
        """The same shape on both sides; the left one has more light."""
        line = curve(points) if smooth else points
        for flip, less in ((False, 0.0), (True, 0.1)):
            colour = self.shade(min(1.0, light + less))
            self.draw.polygon(placed(line, self.centre, self.unit * scale, flip=flip), fill=colour)

    def eyes(self, x: float, y: float, size: float) -> None:
        """Two eyes that shine."""
        for side in (-1, 1):
            cx, cy = self.centre[0] + side * x * self.unit, self.centre[1] + y * self.unit
            for share, colour in ((1.5, self.dark), (1.0, self.palette.light), (0.45, WHITE)):
                tilt = [
                    (-share, 0.15),
                    (-0.2 * share, -0.45 * share),
                    (share, -0.4 * share),
                    (0.3 * share, 0.4 * share),
                ]
                self.draw.polygon(placed(tilt, (cx, cy), size * self.unit, flip=side < 0), fill=colour)

    def blob(self, x: float, y: float, radius: float, colour: Colour, squash: float = 1.0) -> None:
        """An ellipse."""
        cx, cy, r = self.centre[0] + x * self.unit, self.centre[1] + y * self.unit, radius * self.unit
        self.draw.ellipse((cx - r, cy - r * squash, cx + r, cy + r * squash), fill=colour)


def _face(figure: Figure, wide: float = 1.0) -> None:
    for names, light in FACETS:
        points = [(FACE[name][0] * wide, FACE[name][1]) for name in names]
        figure.both(points, light * 0.9 + figure.chance.uniform(-0.05, 0.05))
    nose = [(-0.1, 0.72), (0.1, 0.72), (0.0, 0.86)]
    figure.draw.polygon(placed(nose, figure.centre, figure.unit), fill=figure.dark)
    figure.eyes(0.3 * wide, -0.02, 0.12)


def _ears(figure: Figure, tall: float) -> None:
    figure.both([(0.2, -0.42), (0.66, -0.5 - tall), (0.78, -0.2)], 0.5)
    figure.both([(0.36, -0.42), (0.62, -0.36 - tall * 0.8), (0.66, -0.28)], 0.1)


def _shoulders(figure: Figure) -> None:
    figure.both([(0, 0.4), (0.5, 0.3), (0.95, 0.75), (1.25, 1.6), (0, 1.6)], 0.16)
    for row in range(5):
        y = 0.55 + row * 0.2
        for x in (0.1, 0.35, 0.6, 0.85):
            if x < 0.5 + row * 0.15:
                figure.both([(x - 0.14, y), (x + 0.14, y), (x, y + 0.3)], 0.24 + 0.07 * ((row + round(x * 8)) % 3))


def beast(figure: Figure) -> None:
    """A wolf or a fox."""
    _shoulders(figure)
    _ears(figure, figure.chance.uniform(0.45, 0.75))
    _face(figure, figure.chance.uniform(0.9, 1.05))


def lion(figure: Figure) -> None:
    """With a mane of flames around its head."""
    for ring, (light, far) in enumerate(((0.15, 1.45), (0.32, 1.22), (0.52, 1.0))):
        count = 26
        for place in range(count):
            turn = math.tau * (place + ring * 0.5) / count
            reach = far * figure.chance.uniform(0.88, 1.12)
            spike = [(-0.16, -0.3), (0.02, -reach), (0.16, -0.3)]
            colour = figure.shade(light + figure.chance.uniform(-0.06, 0.1))
            centre = (figure.centre[0], figure.centre[1] + 0.1 * figure.unit)
            figure.draw.polygon(placed(spike, centre, figure.unit, turn=turn), fill=colour)
    _face(figure, 0.92)


def stag(figure: Figure) -> None:
    """With antlers that branch."""
    _shoulders(figure)

    def branch(x: float, y: float, turn: float, length: float, width: float, depth: int) -> None:
        bend = turn + figure.chance.uniform(-0.12, 0.2)
        end = (x + math.sin(bend) * length, y - math.cos(bend) * length)
        for side in (-1, 1):
            bent = curve([(x, y), ((x + end[0]) / 2 + 0.03, (y + end[1]) / 2), end], closed=False)
            line = placed(bent, figure.centre, figure.unit, flip=side < 0)
            widths = width * figure.unit, width * 0.7 * figure.unit
            taper(figure.draw, line, widths, (figure.shade(0.5), figure.shade(0.95)))
        if depth:
            branch(*end, turn - 0.62, length * 0.72, width * 0.68, depth - 1)
            branch(*end, turn + 0.34, length * 0.8, width * 0.7, depth - 1)

    branch(0.2, -0.4, 0.62, 0.4, 0.13, 3)
    figure.both([(0.4, -0.3), (1.02, -0.42), (0.62, -0.04)], 0.34)
    _face(figure, 0.76)


def ram(figure: Figure) -> None:
    """With horns that turn inwards."""
    _shoulders(figure)
    for side in (-1, 1):
        line = []
        for step in range(90):
            turn = -0.5 + step / 90 * 4.9
            far = 0.62 * (1 - step / 90 * 0.72)
            line.append((figure.centre[0] + side * (0.72 + math.sin(turn) * far * 0.9) * figure.unit,
                         figure.centre[1] + (-0.16 - math.cos(turn) * far) * figure.unit))  # fmt: skip
        taper(figure.draw, line, (0.3 * figure.unit, 0.05 * figure.unit), (figure.shade(0.3), figure.palette.light))
        for place in range(6, 84, 7):
            x, y = line[place]
            figure.draw.arc((x - 20, y - 20, x + 20, y + 20), 200, 320, fill=figure.dark, width=3)
    _face(figure, 0.86)


def drake(figure: Figure) -> None:
    """Wings of skin, horns, a long jaw."""
    tips = [(1.05, -0.95), (1.72, -0.42), (1.74, 0.3), (1.3, 0.72), (0.62, 0.86)]
    figure.both(curve([(0.1, 0.1), (0.5, -0.62), tips[0]], closed=False) + _scalloped(tips) + [(0.1, 0.6)], 0.2)
    for light, inset in ((0.34, 0.86), (0.5, 0.7)):
        inner = [(x * inset + 0.06, y * inset) for x, y in tips]
        figure.both([(0.14, 0.1), *_scalloped(inner), (0.14, 0.5)], light)
    for x, y in tips:
        for side in (-1, 1):
            bone = curve([(0.3, -0.3), ((x + 0.4) / 2, (y - 0.55) / 2), (x, y)], closed=False, steps=14)
            line = placed(bone, figure.centre, figure.unit, flip=side < 0)
            taper(figure.draw, line, (0.075 * figure.unit, 0.02 * figure.unit), (figure.shade(0.12), figure.shade(0.7)))
    figure.both([(0, -0.2), (0.3, 0.1), (0.42, 0.6), (0.26, 1.3), (0, 1.6)], 0.3, smooth=False)
    for row in range(7):
        y, wide = 0.24 + row * 0.17, 0.24 - abs(row - 3) * 0.03
        figure.draw.polygon(placed([(-wide, y), (wide, y), (0, y + 0.2)], figure.centre, figure.unit),
                            fill=figure.shade(0.5 + 0.08 * (row % 2)))  # fmt: skip
    for points, light in (
        ([(0.12, -0.62), (0.34, -0.95), (0.52, -1.4), (0.3, -0.62)], 0.9),
        ([(0.26, -0.5), (0.62, -0.7), (0.34, -0.36)], 0.7),
        ([(0, -0.78), (0.22, -0.66), (0.34, -0.4), (0.16, 0.06), (0.1, 0.2), (0, 0.24)], 0.56),
        ([(0, -0.78), (0.14, -0.5), (0.06, 0.12), (0, 0.2)], 0.8), ([(0.2, -0.6), (0.36, -0.4), (0.22, -0.2)], 0.36),
    ):  # fmt: skip
        figure.both(points, light)
    figure.eyes(0.2, -0.4, 0.09)


def _scalloped(tips: list[Point]) -> list[Point]:
    line = [tips[0]]
    for (ax, ay), (bx, by) in pairwise(tips):
        middle = ((ax + bx) / 2 * 0.84, (ay + by) / 2 * 0.84 + 0.04)
        line += curve([(ax, ay), middle, (bx, by)], closed=False)
    return line


def bird(figure: Figure) -> None:
    """Wings and tail of feathers."""

    def feather(x: float, y: float, turn: float, length: float, width: float, light: float) -> None:
        shape = curve(
            [(0, 0), (width, -length * 0.4), (width * 0.4, -length * 0.9), (0, -length), (-width * 0.6, -length * 0.7)]
        )
        for side in (-1, 1):
            centre = (figure.centre[0] + side * x * figure.unit, figure.centre[1] + y * figure.unit)
            points = placed(shape, centre, figure.unit, flip=side < 0, turn=turn)
            figure.draw.polygon(points, fill=figure.shade(light))
            figure.draw.line([centre, points[24]], fill=figure.shade(min(1, light + 0.2)), width=2)

    for place in range(7):
        feather(0.03, 0.5, math.pi - 0.08 - place * 0.11, 1.15 - place * 0.06, 0.12, 0.2 + 0.09 * (place % 3))
    for row, (count, length) in enumerate(((12, 1.25), (10, 0.86), (8, 0.52))):
        for place in range(count):
            share = place / (count - 1)
            x, y = 0.2 + share * 0.82, 0.1 - math.sin(share * 2.2) * 0.52
            feather(x, y, 2.5 - share * 2.0, length * (0.7 + 0.45 * share), 0.1, 0.14 + row * 0.2 + 0.1 * (place % 2))
    figure.both([(0, -0.5), (0.24, -0.3), (0.34, 0.2), (0.2, 0.7), (0, 0.9)], 0.5, smooth=False)
    for row in range(5):
        for x in (0.07, 0.2):
            y = 0.0 + row * 0.14
            figure.both([(x - 0.08, y), (x + 0.08, y), (x, y + 0.16)], 0.55 + 0.1 * ((row + round(x * 10)) % 3))
    figure.blob(0, -0.55, 0.28, figure.shade(0.62))
    for turn in (-0.5, -0.2, 0.1):
        feather(0.0, -0.7, turn + 0.1, 0.5, 0.05, 0.9)
    figure.both([(0, -0.5), (0.12, -0.46), (0, -0.16)], 0.95)
    figure.eyes(0.14, -0.58, 0.075)


def moth(figure: Figure) -> None:
    """Four round wings with eyes on them."""
    tall = figure.chance.uniform(0.85, 1.1)
    upper = [(0.06, -0.1), (0.5, -0.95 * tall), (1.35, -1.05 * tall), (1.6, -0.5), (1.1, 0.12)]
    lower = [(0.06, 0.05), (0.9, 0.15), (1.2, 0.7), (0.8, 1.15), (0.35, 0.8)]
    for wing in (lower, upper):
        for step, light in enumerate((0.12, 0.34, 0.58, 0.44)):
            share = 1 - step * 0.16
            figure.both(curve([(x * share + 0.05 * step, y * share) for x, y in wing]), light)
    for x, y, size in ((0.98, -0.6 * tall, 0.25), (0.68, 0.62, 0.19)):
        for side in (-1, 1):
            for share, colour in ((1.0, figure.dark), (0.74, figure.palette.accent), (0.5, figure.dark),
                                  (0.3, figure.palette.light)):  # fmt: skip
                figure.blob(side * x, y, size * share, colour)
    for side in (-1, 1):
        for far in (0.5, 0.72):
            feeler = curve([(0.03, -0.42), (0.12, -0.8), (far, -1.1)], closed=False)
            line = placed(feeler, figure.centre, figure.unit, flip=side < 0)
            taper(figure.draw, line, (6, 3), (figure.shade(0.4), figure.palette.light))
    for y in range(9):
        figure.blob(0, -0.36 + y * 0.12, 0.13 - y * 0.009, figure.shade(0.25 + 0.3 * (y % 2)))
    figure.blob(0, -0.42, 0.15, figure.shade(0.5))
    figure.eyes(0.08, -0.46, 0.05)


def serpent(figure: Figure) -> None:
    """Coils that rise to a head with a frill."""
    shift, count = figure.chance.choice((0, math.pi)), 240
    spine: list[Point] = []
    for step in range(count):
        share = step / (count - 1)
        swing = 0.95 * (1 - share * 0.72)
        spine.append((math.sin(share * 9.4 + shift) * swing, 1.25 - share * 1.85))
    for step, (x, y) in enumerate(spine):
        share = step / (count - 1)
        radius = 0.1 + 0.15 * math.sin(min(1.0, share * 1.15) * math.pi * 0.62)
        if step % 9 == 0 and step > 8:
            fin = [(x - 0.1, y - radius * 0.7), (x + 0.1, y - radius * 0.7), (x, y - radius - 0.17)]
            figure.draw.polygon(placed(fin, figure.centre, figure.unit), fill=figure.palette.light)
        figure.blob(x, y, radius, figure.shade(0.16 + 0.3 * share + (0.12 if step % 14 < 7 else 0)))
        figure.blob(x - radius * 0.22, y + radius * 0.28, radius * 0.52, figure.shade(0.4 + 0.35 * share))
    x, y = spine[-1]
    figure.centre = (figure.centre[0] + x * figure.unit, figure.centre[1] + y * figure.unit)
    for turn in (-1.25, -0.85, -0.45, 0.45, 0.85, 1.25):
        frill = [(-0.1, -0.1), (0, -0.72), (0.1, -0.1)]
        figure.draw.polygon(placed(frill, figure.centre, figure.unit, turn=turn), fill=figure.shade(0.85))
    figure.unit *= 0.58
    for names, light in FACETS:
        figure.both([(FACE[name][0] * 0.74, FACE[name][1] * 0.9) for name in names], light)
    figure.eyes(0.24, -0.02, 0.16)


def kraken(figure: Figure) -> None:
    """A bell above, arms below."""
    arms = figure.chance.randrange(9, 12)
    for place in range(arms):
        share = place / (arms - 1) * 2 - 1
        wave, long = figure.chance.uniform(0, 6), figure.chance.uniform(1.0, 1.45)
        line = []
        for step in range(70):
            t = step / 69
            x = share * 0.55 + share * t * 0.75 + math.sin(t * 7 + wave) * 0.14 * t
            line.append((figure.centre[0] + x * figure.unit, figure.centre[1] + (0.0 + t * long) * figure.unit))
        colours = figure.shade(0.3 + 0.2 * (place % 2)), figure.palette.light
        taper(figure.draw, line, (0.2 * figure.unit, 0.03 * figure.unit), colours)
        for x, y in line[8:60:8]:
            figure.draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=figure.bright)
    for step, light in enumerate((0.22, 0.36, 0.5, 0.66)):
        share = 1 - step * 0.17
        bell = [(0, -1.15), (0.62, -0.85), (0.86, -0.2), (0.6, 0.18), (0, 0.08)]
        figure.both(curve([*bell, (-0.02, 0.0)]), light, scale=share)
        figure.both([(0, -1.1), (0.5, -0.8), (0.72, -0.15), (0, 0.05)], light, scale=share)
    for _ in range(9):
        x, y = figure.chance.uniform(0.12, 0.6), figure.chance.uniform(-0.85, -0.3)
        size = figure.chance.uniform(0.02, 0.06)
        figure.blob(x, y, size, figure.palette.light)
        figure.blob(-x, y, size, figure.palette.light)
    figure.eyes(0.3, -0.12, 0.14)


def golem(figure: Figure) -> None:
    """Boulders, and light between them."""

    def boulder(x: float, y: float, size: float, light: float) -> None:
        count = 9
        outline = [
            (x + math.sin(math.tau * place / count) * size * figure.chance.uniform(0.82, 1.12),
             y - math.cos(math.tau * place / count) * size * figure.chance.uniform(0.82, 1.12))
            for place in range(count)
        ]  # fmt: skip
        peak = (x - size * 0.18, y - size * 0.22)
        for one, other in zip(outline, [*outline[1:], outline[0]], strict=True):
            slope = ((one[0] + other[0]) / 2 - x) * 0.3 + ((one[1] + other[1]) / 2 - y) * 0.5
            figure.draw.polygon(placed([peak, one, other], figure.centre, figure.unit),
                                fill=figure.shade(min(0.95, max(0.02, light - slope / size * 0.42))))  # fmt: skip

    for side in (-1, 1):
        for x, y, size in ((0.42, 1.25, 0.36), (1.02, 1.02, 0.34), (1.06, 0.52, 0.26), (0.86, 0.04, 0.42)):
            boulder(side * x, y, size, 0.34)
    boulder(0, 0.86, 0.44, 0.3)
    boulder(0, 0.3, 0.66, 0.4)
    boulder(0, -0.52, 0.4, 0.52)
    rune = regular(
        (figure.centre[0], figure.centre[1] + 0.3 * figure.unit), 0.3 * figure.unit, figure.chance.choice((3, 4, 5, 6))
    )
    figure.draw.line([*rune, rune[0]], fill=figure.palette.light, width=8, joint="curve")
    figure.blob(0, 0.3, 0.1, WHITE)
    for side in (-1, 1):
        crack = [(side * 0.5, 0.0), (side * 0.62, 0.14), (side * 0.56, 0.3), (side * 0.7, 0.46)]
        figure.draw.line(placed(crack, figure.centre, figure.unit), fill=figure.palette.light, width=5)
    figure.eyes(0.15, -0.54, 0.1)


def crystal(figure: Figure) -> None:
    """Shards that grow from one root."""
    shards = [(figure.chance.uniform(-1.15, 1.15), figure.chance.uniform(0.9, 1.5)) for _ in range(9)]
    for turn, length in [*sorted(shards, key=lambda shard: -abs(shard[0])), (0.02, 2.05)]:
        wide = 0.15 + 0.06 * length
        centre = (figure.centre[0] + turn * 0.3 * figure.unit, figure.centre[1] + 1.0 * figure.unit)
        shoulder = -length * 0.78
        for points, light in (
            ([(-wide, 0), (-wide, shoulder), (0, -length), (-wide * 0.2, shoulder * 0.92), (-wide * 0.2, 0)], 0.82),
            (
                [
                    (-wide * 0.2, 0),
                    (-wide * 0.2, shoulder * 0.92),
                    (0, -length),
                    (wide * 0.45, shoulder * 0.96),
                    (wide * 0.45, 0),
                ],
                0.52,
            ),
            ([(wide * 0.45, 0), (wide * 0.45, shoulder * 0.96), (0, -length), (wide, shoulder), (wide, 0)], 0.24),
        ):
            shade = figure.shade(min(1.0, light + figure.chance.uniform(-0.06, 0.08)))
            figure.draw.polygon(placed(points, centre, figure.unit, turn=turn * 0.8), fill=shade)
    for _ in range(8):
        x, y = figure.chance.uniform(-0.9, 0.9), figure.chance.uniform(-1, 0.6)
        spot = (figure.centre[0] + x * figure.unit, figure.centre[1] + y * figure.unit)
        figure.draw.polygon(regular(spot, figure.chance.uniform(8, 20), 4, 0, 3), fill=WHITE)


def tree(figure: Figure) -> None:
    """A tree with a face, whose leaves shine."""
    leaves: list[tuple[float, float, float]] = []

    def branch(x: float, y: float, turn: float, length: float, width: float, depth: int) -> None:
        end = (x + math.sin(turn) * length, y - math.cos(turn) * length)
        bend = ((x + end[0]) / 2 + figure.chance.uniform(-0.06, 0.06), (y + end[1]) / 2)
        line = placed(curve([(x, y), bend, end], closed=False), figure.centre, figure.unit)
        taper(
            figure.draw,
            line,
            (width * figure.unit, width * 0.66 * figure.unit),
            (figure.shade(0.1), figure.shade(0.26)),
        )
        if depth == 0:
            leaves.append((*end, figure.chance.uniform(0.12, 0.24)))
            return
        for side in (-1, 1) if depth < 4 else (-1, 0, 1):
            spread = turn + side * figure.chance.uniform(0.35, 0.62)
            branch(*end, spread, length * figure.chance.uniform(0.66, 0.8), width * 0.64, depth - 1)

    for root in (-0.75, -0.35, 0.35, 0.75):
        line = placed(curve([(0, 0.8), (root * 0.5, 1.05), (root, 1.35)], closed=False), figure.centre, figure.unit)
        taper(figure.draw, line, (0.3 * figure.unit, 0.05 * figure.unit), (figure.shade(0.12), figure.shade(0.06)))
    branch(0, 1.15, 0, 0.72, 0.44, 4)
    for x, y, size in leaves:
        figure.blob(x, y + 0.03, size, figure.shade(0.3))
    for x, y, size in leaves:
        figure.blob(x - 0.02, y - 0.02, size * 0.76, figure.shade(figure.chance.uniform(0.45, 0.8)))
        figure.blob(x - 0.05, y - 0.06, size * 0.3, figure.bright)
    figure.eyes(0.1, 0.72, 0.08)


def sigil(figure: Figure) -> None:
    """Rings and petals around a stone."""
    folds = figure.chance.choice((5, 6, 7, 8, 9, 12))
    x, y = figure.centre = (figure.centre[0], figure.centre[1] - 0.1 * figure.unit)
    for far, light, width in ((1.3, 0.4, 10), (1.18, 0.85, 4), (0.72, 0.6, 6)):
        r = far * figure.unit
        figure.draw.ellipse((x - r, y - r, x + r, y + r), outline=figure.shade(light), width=width)
    for ring in range(3):
        reach, wide = 1.15 - ring * 0.3, 0.34 - ring * 0.06
        for place in range(folds):
            turn = math.tau * (place + ring * 0.5) / folds
            petal = curve([(0, -reach * 0.25), (wide * 0.6, -reach * 0.62), (0, -reach), (-wide * 0.6, -reach * 0.62)])
            figure.draw.polygon(
                placed(petal, figure.centre, figure.unit, turn=turn), fill=figure.shade(0.16 + ring * 0.24)
            )
            half = [(0, -reach * 0.25), (wide * 0.42, -reach * 0.62), (0, -reach)]
            figure.draw.polygon(
                placed(half, figure.centre, figure.unit, turn=turn), fill=figure.shade(0.3 + ring * 0.24)
            )
    for place in range(folds * 2):
        turn = math.tau * place / folds / 2
        spot = (x + math.sin(turn) * 1.24 * figure.unit, y - math.cos(turn) * 1.24 * figure.unit)
        figure.draw.polygon(regular(spot, 13 if place % 2 else 20, 4), fill=figure.palette.light)
    gem = regular((x, y), 0.28 * figure.unit, 6)
    for place in range(6):
        figure.draw.polygon([(x, y - 0.06 * figure.unit), gem[place], gem[(place + 1) % 6]],
                            fill=mix(figure.palette.light, figure.palette.accent, place / 6))  # fmt: skip


DRAWN_BY: dict[str, Callable[[Figure], None]] = {
    "beast": beast, "lion": lion, "stag": stag, "ram": ram, "drake": drake, "bird": bird, "moth": moth,
    "serpent": serpent, "kraken": kraken, "golem": golem, "crystal": crystal, "tree": tree, "sigil": sigil,
}  # fmt: skip
