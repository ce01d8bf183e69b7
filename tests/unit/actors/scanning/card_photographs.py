"""Photographs of cards, made by a seed: a card on a background, as a camera would see it."""

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 960, 1280


def photograph(card: Pixels, seed: int, degrees: float | None = None) -> tuple[Pixels, npt.NDArray[np.float32]]:
    """The card (RGBA) on a background, and its four corners there. ``degrees``: how it lies; None: anyhow."""
    chance = np.random.default_rng(seed)
    picture, corners = background(chance), _corners(chance, chance.uniform(0, 360) if degrees is None else degrees)
    height, width = card.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    seen = cv2.warpPerspective(
        card, cv2.getPerspectiveTransform(source, corners), (WIDTH, HEIGHT), flags=cv2.INTER_AREA
    )
    mask = seen[:, :, 3:].astype(np.float32) / 255
    shadow = cv2.GaussianBlur(np.roll(mask[:, :, 0], (9, 7), (0, 1)), (0, 0), 9)[:, :, None] * 0.4
    mixed = picture.astype(np.float32) * (1 - shadow) * (1 - mask) + seen[:, :, :3] * mask
    return _lit(chance, mixed), corners


def background(chance: np.random.Generator) -> Pixels:
    """A table: plain, grained, striped or of cloth."""
    base = chance.uniform(20, 235, 3)
    picture = np.broadcast_to(base, (HEIGHT, WIDTH, 3)).astype(np.float32).copy()
    kind = chance.integers(4)
    if kind == 1:
        grain = cv2.resize(chance.normal(0, 1, (HEIGHT // 4, 12)).astype(np.float32), (WIDTH, HEIGHT))
        picture += grain[:, :, None] * 14
    elif kind == 2:
        stripes = np.sin(np.arange(WIDTH) / chance.uniform(12, 40)) > 0.7
        picture += stripes[None, :, None] * chance.uniform(-40, 40)
    elif kind == 3:
        cloth = cv2.GaussianBlur(chance.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 2)
        picture += cloth[:, :, None] * 60
    return np.clip(picture, 0, 255).astype(np.uint8)


def as_jpeg(picture: Pixels, quality: int = 80) -> bytes:
    return bytes(cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def _corners(chance: np.random.Generator, degrees: float) -> npt.NDArray[np.float32]:
    """A card turned in the plane, tilted by up to about 25 degrees, anywhere where all of it is seen."""
    size = chance.uniform(330, 520)
    card = np.array([[-0.5, -0.7], [0.5, -0.7], [0.5, 0.7], [-0.5, 0.7]]) * size
    turn = np.radians(degrees)
    card = card @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    tilt_x, tilt_y = np.radians(chance.uniform(-25, 25, 2))
    depth = card[:, 0] * np.sin(tilt_x) + card[:, 1] * np.sin(tilt_y)
    flat = card * np.array([np.cos(tilt_x), np.cos(tilt_y)]) * (1600 / (1600 + depth))[:, None]
    low, high = flat.min(axis=0), flat.max(axis=0)
    room = np.array([WIDTH, HEIGHT]) - 40 - (high - low)
    if room.min() < 0:
        flat *= min((WIDTH - 40) / (high - low)[0], (HEIGHT - 40) / (high - low)[1])
        low, high = flat.min(axis=0), flat.max(axis=0)
        room = np.maximum(np.array([WIDTH, HEIGHT]) - 40 - (high - low), 0)
    return (flat - low + 20 + room * chance.uniform(0, 1, 2)).astype(np.float32)


def _lit(chance: np.random.Generator, picture: npt.NDArray[np.float32]) -> Pixels:
    """Brightness and colour of the light, a shadow over a part, a glare, blur, noise, and JPEG."""
    picture = picture * chance.uniform(0.6, 1.2) * chance.uniform(0.9, 1.1, 3)
    across = np.linspace(chance.uniform(0.6, 1.0), 1.0, WIDTH)[None, :, None]
    picture = picture * across
    if chance.random() < 0.3:
        glare = np.zeros((HEIGHT, WIDTH), np.float32)
        place = (int(chance.uniform(0.2, 0.8) * WIDTH), int(chance.uniform(0.2, 0.8) * HEIGHT))
        cv2.circle(glare, place, int(chance.uniform(30, 90)), 160, -1)
        picture = picture + cv2.GaussianBlur(glare, (0, 0), 30)[:, :, None]
    picture = cv2.GaussianBlur(picture, (0, 0), chance.uniform(0.4, 2.2))
    picture = np.clip(picture + chance.normal(0, chance.uniform(1, 9), picture.shape), 0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1]  # type: ignore[return-value]
