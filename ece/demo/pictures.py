"""Pictures of cards: a frame by rarity, a scene with a creature, and what is printed around it."""

import random
from functools import cache
from io import BytesIO

from msgspec.structs import replace
from PIL import Image, ImageDraw, ImageFont

from ece.demo.cards import SET_SIZE, DemoCard
from ece.demo.creatures import DRAWN_BY, Figure
from ece.demo.scenes import PALETTES, scene, weather
from ece.demo.shapes import BLACK, WHITE, Colour, Point, lit, mix, regular, slanted, upright

WIDTH, HEIGHT = 600, 840
# Shapes are drawn larger, so that their edges are smooth.
SCALE = 2
ART = (44, 104, 556, 538)
QUALITY = 88

FRAMES: dict[str, tuple[Colour, ...]] = {
    "common": ((74, 80, 90), (150, 158, 168), (88, 94, 104), (128, 136, 146), (66, 72, 82)),
    "uncommon": ((22, 84, 60), (96, 196, 144), (28, 104, 74), (72, 168, 122), (16, 66, 48)),
    "rare": ((24, 62, 140), (124, 180, 255), (30, 84, 176), (86, 150, 240), (16, 44, 110)),
    "epic": ((78, 28, 136), (204, 140, 255), (98, 40, 168), (170, 96, 240), (58, 18, 106)),
    "legendary": ((142, 92, 20), (255, 232, 150), (190, 130, 36), (250, 208, 100), (120, 74, 12)),
    "mythic": ((255, 90, 140), (255, 190, 90), (250, 250, 140), (110, 230, 170), (100, 180, 255), (190, 120, 255),
               (255, 110, 190)),
}  # fmt: skip


def picture(card: DemoCard) -> bytes:
    """The card as WebP."""
    canvas = _plate(card.rarity, card.element).copy()
    canvas.paste(_art(card), ART[:2], _rounded((ART[2] - ART[0], ART[3] - ART[1]), 18))
    _print(canvas, card)
    canvas.putalpha(_rounded((WIDTH, HEIGHT), 36))
    out = BytesIO()
    canvas.save(out, "WEBP", quality=QUALITY, method=0)
    return out.getvalue()


def _art(card: DemoCard) -> Image.Image:
    chance = random.Random(card.seed)
    size = ((ART[2] - ART[0]) * SCALE, (ART[3] - ART[1]) * SCALE)
    palette = PALETTES[card.element]
    canvas = scene(chance, card.element, size)
    figure = Figure(chance, palette if chance.random() < 0.5 else replace(palette, accent=palette.other), size)
    DRAWN_BY[card.creature](figure)
    lit(canvas, figure.layer, mix(figure.palette.accent, palette.light, 0.4), palette.light)
    weather(chance, canvas, card.element)
    if card.rarity in ("legendary", "mythic"):
        _foil(canvas, card.rarity)
    return canvas.reduce(SCALE)


def _foil(canvas: Image.Image, rarity: str) -> None:
    """Bands of light across the picture."""
    canvas.paste(slanted(canvas.size, FRAMES[rarity], 28), (0, 0), _bands(canvas.size))


@cache
def _bands(size: tuple[int, int]) -> Image.Image:
    bands = slanted(size, (BLACK, WHITE, BLACK, BLACK, (150, 150, 150), BLACK), 28).convert("L")
    return bands.point([value * 56 // 255 for value in range(256)])


@cache
def _rounded(size: tuple[int, int], radius: int) -> Image.Image:
    mask = Image.new("L", (size[0] * 2, size[1] * 2), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] * 2 - 1, size[1] * 2 - 1), radius * 2, fill=255)
    return mask.reduce(2)


@cache
def _plate(rarity: str, element: str) -> Image.Image:
    """All that cards of this rarity and element have in common."""
    palette, frame = PALETTES[element], FRAMES[rarity]
    canvas = Image.new("RGB", (WIDTH, HEIGHT), (14, 14, 18))
    edge = (WIDTH - 16, HEIGHT - 16)
    canvas.paste(slanted(edge, frame), (8, 8), _rounded(edge, 30))
    inner = (WIDTH - 52, HEIGHT - 52)
    deep = mix(palette.land, BLACK, 0.35)
    canvas.paste(upright(inner, mix(deep, palette.accent, 0.34), deep), (26, 26), _rounded(inner, 20))
    _bevel(canvas, (26, 26, WIDTH - 27, HEIGHT - 27), 20, mix(frame[0], BLACK, 0.5), frame[1])
    for box, radius in (((40, 40, 560, 94), 14), ((40, 550, 560, 594), 12), ((40, 604, 560, 764), 14)):
        size = (box[2] - box[0], box[3] - box[1])
        panel = upright(size, mix(deep, BLACK, 0.2), mix(deep, BLACK, 0.55))
        canvas.paste(panel, box[:2], _rounded(size, radius))
        _bevel(canvas, box, radius, mix(frame[0], BLACK, 0.3), frame[1])
    _bevel(canvas, (ART[0] - 4, ART[1] - 4, ART[2] + 3, ART[3] + 3), 20, mix(frame[0], BLACK, 0.45), frame[1])
    return canvas


def _bevel(canvas: Image.Image, box: tuple[int, int, int, int], radius: int, dark: Colour, light: Colour) -> None:
    draw = ImageDraw.Draw(canvas)
    draw.rounded_rectangle(box, radius, outline=dark, width=4)
    draw.rounded_rectangle((box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1), radius, outline=light, width=1)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow comes with FreeType"
    return font


def _text(
    draw: ImageDraw.ImageDraw, at: Point, text: str, size: int, colour: Colour, anchor: str = "lm", bold: int = 0
) -> None:
    if bold:
        draw.text((at[0] + 1, at[1] + 2), text, BLACK, _font(size), anchor)
    draw.text(at, text, colour, _font(size), anchor, stroke_width=bold, stroke_fill=colour)


def _print(canvas: Image.Image, card: DemoCard) -> None:
    palette, frame = PALETTES[card.element], FRAMES[card.rarity]
    pale = mix(frame[1], WHITE, 0.6)
    draw = ImageDraw.Draw(canvas)
    size = next(size for size in range(32, 12, -1) if _font(size).getlength(card.name) < 420)
    _text(draw, (58, 67), card.name, size, WHITE, bold=1)
    _element_mark(canvas, (530, 67), card.element)
    draw = ImageDraw.Draw(canvas)
    _text(draw, (58, 572), f"{card.rarity.capitalize()} {card.kind}", 21, pale)
    _text(draw, (502, 572), card.set.name, 17, mix(pale, palette.land, 0.25), "rm")
    _symbol(canvas, (530, 572), card.set.symbol, frame)
    draw = ImageDraw.Draw(canvas)
    _chips(draw, (60, 636), [card.element, card.creature], card)
    for line, text in enumerate(_wrapped(card.lore, 21, 478)):
        _text(draw, (60, 676 + line * 27), text, 21, mix(WHITE, palette.accent, 0.14))
    _shield(canvas, (484, 636), str(card.power), frame, 3)
    _shield(canvas, (530, 636), str(card.ward), frame, 6)
    draw = ImageDraw.Draw(canvas)
    _text(draw, (48, 788), f"{card.number:02d} / {SET_SIZE}", 18, pale)
    _text(draw, (WIDTH / 2, 788), f"Illus. {card.artist}", 17, mix(pale, BLACK, 0.25), "mm")
    edition = "Open edition" if card.edition is None else f"Edition of {card.edition:,}"
    _text(draw, (552, 788), edition, 17, pale, "rm")
    ornaments = list(FRAMES).index(card.rarity) + 1
    for place in range(ornaments):
        x = WIDTH / 2 + (place - (ornaments - 1) / 2) * 18
        draw.polygon(regular((x, 765), 8, 4), fill=frame[1], outline=mix(frame[0], BLACK, 0.5))


def _chips(draw: ImageDraw.ImageDraw, at: Point, words: list[str], card: DemoCard) -> None:
    palette, (x, y) = PALETTES[card.element], at
    for word in dict.fromkeys(words):
        width = _font(17).getlength(word) + 26
        draw.rounded_rectangle((x, y - 14, x + width, y + 14), 14, fill=mix(palette.land, palette.accent, 0.45),
                               outline=palette.accent)  # fmt: skip
        _text(draw, (x + 13, y), word, 17, WHITE)
        x += width + 10


def _wrapped(text: str, size: int, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines[:3]


def _smooth(canvas: Image.Image, centre: Point, radius: int, shapes: list[tuple[list[Point], Colour]]) -> None:
    """Small shapes in units around a point, with smooth edges."""
    across = radius * 2
    layer = Image.new("RGBA", (across * 4, across * 4), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    for points, colour in shapes:
        draw.polygon([((x + 1) * radius * 4, (y + 1) * radius * 4) for x, y in points], fill=colour)
    layer = layer.reduce(4)
    canvas.paste(layer, (round(centre[0] - radius), round(centre[1] - radius)), layer)


def _shield(canvas: Image.Image, centre: Point, text: str, frame: tuple[Colour, ...], corners: int) -> None:
    turn = 3.14159 if corners == 3 else 0.0
    shapes = [
        (regular((0, -0.1 if corners == 3 else 0), reach, corners, turn), colour)
        for reach, colour in ((0.98, mix(frame[0], BLACK, 0.45)), (0.88, frame[1]), (0.76, mix(frame[0], BLACK, 0.3)))
    ]
    _smooth(canvas, centre, 25, shapes)
    _text(ImageDraw.Draw(canvas), (centre[0], centre[1] - (4 if corners == 3 else 0)), text, 18, WHITE, "mm", bold=1)


def _element_mark(canvas: Image.Image, centre: Point, element: str) -> None:
    palette = PALETTES[element]
    corners = {"ember": 3, "tide": 20, "grove": 5, "storm": 4, "frost": 6, "dusk": 8, "dawn": 12, "stone": 4}[element]
    inner = {"storm": 0.3, "frost": 0.3, "dawn": 0.44, "dusk": 0.5, "grove": 0.4}.get(element)
    mark = regular((0, 0), 0.6, corners, 0.0, inner)
    _smooth(canvas, centre, 22, [
        (regular((0, 0), 0.98, 40), mix(palette.land, BLACK, 0.3)), (regular((0, 0), 0.9, 40), palette.accent),
        (regular((0, 0), 0.8, 40), mix(palette.zenith, palette.accent, 0.25)), (mark, palette.light),
    ])  # fmt: skip


def _symbol(canvas: Image.Image, centre: Point, symbol: int, frame: tuple[Colour, ...]) -> None:
    """The sign of the set, in the metal of the rarity."""
    outer, inner = [
        ((5, 0.38), (5, 0.2)), ((4, 0.3), (4, 0.5)), ((6, None), (3, None)),
        ((8, 0.6), (4, 0.2)), ((3, 0.34), (6, None)), ((12, 0.66), (5, None)),
    ][symbol]  # fmt: skip
    _smooth(canvas, centre, 18, [
        (regular((0, 0), 1.0, outer[0], 0, outer[1] and outer[1] * 1.12), mix(frame[0], BLACK, 0.6)),
        (regular((0, 0), 0.84, outer[0], 0, outer[1]), frame[1]),
        (regular((0, 0), 0.4, inner[0], 0.4, inner[1] and inner[1] * 0.5), mix(frame[0], BLACK, 0.4)),
    ])  # fmt: skip
