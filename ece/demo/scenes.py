"""Where creatures live: skies, lands and weather of each element."""

import math
import random
from collections.abc import Callable

import msgspec
from PIL import Image, ImageDraw

from ece.demo.shapes import WHITE, Colour, Point, glow, mix, regular, ridge, upright


class Palette(msgspec.Struct, frozen=True):
    """The colours of an element: the sky from above to below, the land, what shines, and what stands out from it."""

    zenith: Colour
    horizon: Colour
    land: Colour
    accent: Colour
    light: Colour
    other: Colour


PALETTES = {
    "ember": Palette((34, 8, 26), (214, 72, 28), (38, 10, 14), (255, 140, 48), (255, 226, 150), (255, 206, 84)),
    "tide": Palette((6, 20, 60), (24, 132, 158), (4, 28, 48), (70, 220, 226), (222, 255, 250), (255, 138, 150)),
    "grove": Palette((14, 44, 40), (140, 184, 96), (12, 40, 26), (168, 226, 92), (244, 255, 196), (255, 184, 84)),
    "storm": Palette((20, 18, 56), (104, 98, 176), (20, 20, 46), (146, 166, 255), (255, 250, 200), (255, 214, 100)),
    "frost": Palette((26, 54, 104), (178, 216, 240), (40, 74, 116), (150, 216, 250), (244, 252, 255), (186, 140, 255)),
    "dusk": Palette((18, 8, 44), (140, 46, 132), (24, 10, 42), (214, 104, 255), (255, 210, 246), (90, 214, 250)),
    "dawn": Palette((86, 76, 148), (255, 190, 124), (92, 54, 66), (255, 206, 104), (255, 246, 214), (232, 92, 116)),
    "stone": Palette((40, 36, 44), (176, 148, 108), (44, 36, 34), (236, 188, 112), (255, 240, 208), (88, 206, 190)),
}


def scene(chance: random.Random, element: str, size: tuple[int, int]) -> Image.Image:
    """The background of a picture."""
    palette, (width, height) = PALETTES[element], size
    orb = (width * chance.uniform(0.3, 0.7), height * chance.uniform(0.24, 0.42)), height * chance.uniform(0.15, 0.26)
    canvas = _sky(palette, size, *orb)
    draw = ImageDraw.Draw(canvas)
    if element in ("dusk", "storm", "frost", "ember", "tide"):
        _stars(chance, draw, width, height, palette)
    if element == "dawn":
        _rays(chance, canvas, palette)
    _orb(chance, draw, palette, *orb)
    if element == "storm":
        for _ in range(3):
            _bolt(chance, canvas, (chance.uniform(0.05, 0.95) * width, 0), height * chance.uniform(0.45, 0.75), palette)
    _lands(chance, canvas, element, palette)
    return canvas


def weather(chance: random.Random, canvas: Image.Image, element: str) -> None:
    """What drifts in front of everything."""
    palette, (width, height) = PALETTES[element], canvas.size
    draw = ImageDraw.Draw(canvas)
    for _ in range(46):
        x, y, size = chance.uniform(0, width), chance.uniform(0, height), chance.uniform(1.5, 5.5)
        colour = mix(palette.accent, palette.light, chance.random())
        if element in ("ember", "dusk", "dawn") and size > 4:
            glow(canvas, (x, y), size * 5, colour, 0.55)
        if element == "tide":
            draw.ellipse((x - size * 2, y - size * 2, x + size * 2, y + size * 2), outline=colour, width=2)
        elif element == "storm":
            draw.line((x, y, x - size * 3, y + size * 11), fill=mix(palette.horizon, WHITE, 0.35), width=2)
        elif element == "grove":
            draw.polygon(regular((x, y), size * 2.2, 2, chance.uniform(0, 6), size), fill=colour)
        elif element == "frost":
            draw.polygon(regular((x, y), size * 1.8, 6, 0, size * 0.5), fill=palette.light)
        elif element == "stone":
            draw.polygon(regular((x, y), size * 1.2, 4, chance.uniform(0, 6)), fill=mix(palette.horizon, WHITE, 0.3))
        else:
            draw.ellipse((x - size, y - size, x + size, y + size), fill=colour)


def _stars(chance: random.Random, draw: ImageDraw.ImageDraw, width: int, height: int, palette: Palette) -> None:
    for _ in range(70):
        x, y, size = chance.uniform(0, width), chance.uniform(0, height * 0.6), chance.choice((1, 1, 1.6, 2.4))
        draw.ellipse(
            (x - size, y - size, x + size, y + size), fill=mix(palette.zenith, palette.light, chance.uniform(0.3, 1))
        )


def _sky(palette: Palette, size: tuple[int, int], centre: Point, radius: float) -> Image.Image:
    """Soft as it is, it is painted small."""
    sky = upright((size[0] // 4, size[1] // 4), palette.zenith, palette.horizon)
    glow(sky, (centre[0] / 4, centre[1] / 4), radius * 3.1 / 4, palette.accent, 0.75)
    glow(sky, (size[0] / 8, size[1] / 8), size[1] * 0.62 / 4, palette.accent, 0.3)
    return sky.resize(size, Image.Resampling.BILINEAR)


def _orb(chance: random.Random, draw: ImageDraw.ImageDraw, palette: Palette, centre: Point, radius: float) -> None:
    """A sun or a moon, perhaps with rings or craters."""
    x, y = centre
    disc = (x - radius, y - radius, x + radius, y + radius)
    draw.ellipse(disc, fill=mix(palette.accent, palette.light, 0.75))
    style = chance.choice(("plain", "ring", "craters", "rings"))
    if style == "craters":
        for _ in range(7):
            turn, far, size = (
                chance.uniform(0, 6.3),
                chance.uniform(0, 0.7) * radius,
                chance.uniform(0.06, 0.17) * radius,
            )
            cx, cy = x + math.cos(turn) * far, y + math.sin(turn) * far
            draw.ellipse((cx - size, cy - size, cx + size, cy + size), fill=mix(palette.accent, palette.light, 0.45))
    elif style != "plain":
        for out in (1.25, 1.45) if style == "rings" else (1.3,):
            r = radius * out
            draw.ellipse((x - r, y - r, x + r, y + r), outline=mix(palette.horizon, palette.light, 0.6), width=3)


def _rays(chance: random.Random, canvas: Image.Image, palette: Palette) -> None:
    width, height = canvas.size
    layer = Image.new("L", canvas.size, 0)
    draw, turn = ImageDraw.Draw(layer), chance.uniform(0, 1)
    for place in range(14):
        start = turn + place * math.tau / 14
        far = width * 1.2
        corners = [(width / 2 + math.cos(start + a) * far, height * 0.36 + math.sin(start + a) * far) for a in (0, 0.2)]
        draw.polygon([(width / 2, height * 0.36), *corners], fill=46)
    canvas.paste(palette.light, (0, 0), layer)


def _bolt(
    chance: random.Random, canvas: Image.Image, start: tuple[float, float], length: float, palette: Palette
) -> None:
    x, y = start
    line = [(x, y)]
    while y < length:
        x, y = x + chance.uniform(-46, 46), y + chance.uniform(22, 54)
        line.append((x, y))
    draw = ImageDraw.Draw(canvas)
    draw.line(line, fill=palette.accent, width=9, joint="curve")
    draw.line(line, fill=palette.light, width=4, joint="curve")
    glow(canvas, line[-1], 110, palette.accent, 0.5)


def _lands(chance: random.Random, canvas: Image.Image, element: str, palette: Palette) -> None:
    """Four ranges, the nearer the darker, with mist between them."""
    width, height = canvas.size
    draw = ImageDraw.Draw(canvas)
    steep = {"tide": 0.03, "dawn": 0.07, "grove": 0.08}.get(element, 0.13)
    for place in range(4):
        near = (place + 1) / 4
        base = height * (0.56 + 0.12 * place)
        colour = mix(mix(palette.horizon, palette.zenith, 0.25), palette.land, near)
        outline = (
            _waves(chance, width, base, height * 0.02)
            if element == "tide"
            else ridge(chance, width, base, height * steep)
        )
        draw.polygon([(0, height), *outline, (width, height)], fill=colour)
        if element in _STANDING and place in (1, 2):
            _STANDING[element](chance, draw, outline, height * 0.05 * (1 + 2 * near), colour)
        if place < 3:
            _mist(canvas, round(base), palette)


def _mist(canvas: Image.Image, top: int, palette: Palette) -> None:
    depth = canvas.height // 7
    mask = Image.linear_gradient("L").point([value * 70 // 255 for value in range(256)])
    mask = mask.resize((canvas.width, depth), Image.Resampling.BILINEAR)
    canvas.paste(mix(palette.horizon, palette.light, 0.25), (0, top + 10), mask)


def _waves(chance: random.Random, width: int, base: float, height: float) -> list[tuple[float, float]]:
    shift, long = chance.uniform(0, 6), chance.uniform(60, 120)
    return [(x, base - abs(math.sin(x / long + shift)) * height * 2) for x in range(0, width + 8, 8)]


def _pines(
    chance: random.Random, draw: ImageDraw.ImageDraw, outline: list[tuple[float, float]], size: float, colour: Colour
) -> None:
    for x, y in chance.sample(outline, min(26, len(outline))):
        tall = size * chance.uniform(1.2, 2.4)
        for part in range(3):
            top, wide = y - tall * (0.45 + 0.2 * part), tall * (0.3 - 0.07 * part)
            draw.polygon(
                [(x, top - tall * 0.3), (x - wide, top + tall * 0.2), (x + wide, top + tall * 0.2)], fill=colour
            )
        draw.rectangle((x - 3, y - tall * 0.35, x + 3, y + 8), fill=colour)


def _spires(
    chance: random.Random, draw: ImageDraw.ImageDraw, outline: list[tuple[float, float]], size: float, colour: Colour
) -> None:
    for x, y in chance.sample(outline, min(12, len(outline))):
        tall, wide, lean = (
            size * chance.uniform(1.5, 4),
            size * chance.uniform(0.2, 0.5),
            chance.uniform(-0.3, 0.3) * size,
        )
        draw.polygon([(x - wide, y + 20), (x + lean, y - tall), (x + wide, y + 20)], fill=colour)
        draw.polygon([(x, y + 20), (x + lean, y - tall), (x + wide, y + 20)], fill=mix(colour, WHITE, 0.16))


def _pillars(
    chance: random.Random, draw: ImageDraw.ImageDraw, outline: list[tuple[float, float]], size: float, colour: Colour
) -> None:
    for x, y in chance.sample(outline, min(8, len(outline))):
        tall, wide = size * chance.uniform(1, 2.6), size * chance.uniform(0.4, 0.7)
        right = [(x + wide * 0.7, y - tall - 8), (x + wide, y + 30)]
        draw.polygon([(x - wide, y + 30), (x - wide * 0.8, y - tall), *right], fill=colour)
        lit_side = [(x + wide * 0.2, y + 30), (x + wide * 0.2, y - tall), *right]
        draw.polygon(lit_side, fill=mix(colour, WHITE, 0.1))


_STANDING: dict[str, Callable[..., None]] = {
    "grove": _pines, "dusk": _pines, "frost": _spires, "ember": _spires, "stone": _pillars,
}  # fmt: skip
