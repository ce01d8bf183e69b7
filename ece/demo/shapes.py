"""What pictures are made of: colours, gradients, glows, curves. Sizes in pixels, colours as (red, green, blue)."""

import math
import random
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

Colour = tuple[int, int, int]
Point = tuple[float, float]
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Between two colours; ``share`` of the other."""
    share = min(1.0, max(0.0, share))
    return (
        round(one[0] + (other[0] - one[0]) * share),
        round(one[1] + (other[1] - one[1]) * share),
        round(one[2] + (other[2] - one[2]) * share),
    )


def upright(size: tuple[int, int], top: Colour, bottom: Colour) -> Image.Image:
    """A gradient from top to bottom."""
    return ImageOps.colorize(Image.linear_gradient("L"), top, bottom).resize(size, Image.Resampling.BILINEAR)


@cache
def slanted(size: tuple[int, int], stops: tuple[Colour, ...], turn: float = 35.0) -> Image.Image:
    """A gradient through several colours, turned by so many degrees. Don't draw on it: it is kept."""
    small = (max(2, size[0] // 4), max(2, size[1] // 4))
    strip = Image.new("RGB", (1, len(stops)))
    for place, colour in enumerate(stops):
        strip.putpixel((0, place), colour)
    length = round(math.hypot(*small))
    band = strip.resize((8, length), Image.Resampling.BICUBIC).resize((length, length))
    band = band.rotate(turn, Image.Resampling.BICUBIC)
    left, top = (length - small[0]) // 2, (length - small[1]) // 2
    return band.crop((left, top, left + small[0], top + small[1])).resize(size, Image.Resampling.BILINEAR)


@cache
def _ball() -> Image.Image:
    return ImageOps.invert(Image.radial_gradient("L"))


def glow(canvas: Image.Image, centre: Point, radius: float, colour: Colour, strength: float = 1.0) -> None:
    """Light around a point, fading out."""
    across = max(2, round(2 * radius))
    light = _ball().point([round(max(0, value - 75) * 1.41 * strength) for value in range(256)])
    mask = light.resize((across, across), Image.Resampling.BILINEAR)
    canvas.paste(colour, (round(centre[0] - radius), round(centre[1] - radius)), mask)


def curve(points: Sequence[Point], *, closed: bool = True, steps: int = 8) -> list[Point]:
    """A smooth line through the points (Catmull-Rom)."""
    count = len(points)
    line: list[Point] = []
    for place in range(count if closed else count - 1):
        if closed:
            four = [points[(place + shift) % count] for shift in (-1, 0, 1, 2)]
        else:
            four = [points[min(count - 1, max(0, place + shift))] for shift in (-1, 0, 1, 2)]
        line += [_between(four, step / steps) for step in range(steps)]
    return line if closed else [*line, points[-1]]


def _between(four: Sequence[Point], t: float) -> Point:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = four

    def along(a: float, b: float, c: float, d: float) -> float:
        return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)

    return along(ax, bx, cx, dx), along(ay, by, cy, dy)


def placed(
    points: Sequence[Point], centre: Point, scale: float, *, flip: bool = False, turn: float = 0.0
) -> list[Point]:
    """Points in units around 0, brought to where they belong; ``turn`` in radians."""
    cos, sin = math.cos(turn), math.sin(turn)
    side = -1 if flip else 1
    return [
        (centre[0] + side * (x * cos - y * sin) * scale, centre[1] + (x * sin + y * cos) * scale) for x, y in points
    ]


def regular(centre: Point, radius: float, corners: int, turn: float = 0.0, inner: float | None = None) -> list[Point]:
    """A regular polygon, or, with an ``inner`` radius, a star."""
    count = corners if inner is None else 2 * corners
    return [
        (
            centre[0]
            + math.sin(turn + 2 * math.pi * place / count) * (radius if inner is None or place % 2 == 0 else inner),
            centre[1]
            - math.cos(turn + 2 * math.pi * place / count) * (radius if inner is None or place % 2 == 0 else inner),
        )
        for place in range(count)
    ]


def ridge(chance: random.Random, width: int, base: float, height: float, rough: float = 0.55) -> list[Point]:
    """The outline of a range of hills from left to right (midpoint displacement)."""
    heights = [chance.uniform(-1, 1), chance.uniform(-1, 1)]
    size = 1.0
    for _ in range(7):
        finer = [heights[0]]
        for left, right in pairwise(heights):
            finer += [(left + right) / 2 + chance.uniform(-size, size) * 0.6, right]
        heights, size = finer, size * rough
    step = width / (len(heights) - 1)
    return [(place * step, base - value * height) for place, value in enumerate(heights)]


def taper(
    draw: ImageDraw.ImageDraw, line: Sequence[Point], widths: tuple[float, float], colours: tuple[Colour, Colour]
) -> None:
    """A limb along a line: round, from one width and colour to the other."""
    last = max(1, len(line) - 1)
    for place, (x, y) in enumerate(line):
        share = place / last
        radius = (widths[0] + (widths[1] - widths[0]) * share) / 2
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=mix(*colours, share))


def lit(canvas: Image.Image, layer: Image.Image, aura: Colour, rim: Colour, strength: float = 0.9) -> None:
    """Put a figure onto the canvas, with an aura behind it and light on its edge from the upper left."""
    alpha = layer.getchannel("A")
    small = alpha.reduce(12).filter(ImageFilter.BoxBlur(4))
    small = small.filter(ImageFilter.BoxBlur(3)).point(lambda value: round(min(255, value * 1.3) * strength))
    canvas.paste(aura, (0, 0), small.resize(canvas.size, Image.Resampling.BILINEAR))
    canvas.paste(layer, (0, 0), alpha)
    edge = ImageChops.subtract(alpha, ImageChops.offset(alpha, 5, 6)).point(lambda value: round(value * 0.65))
    canvas.paste(rim, (0, 0), edge)
