"""Fingerprints of pictures of cards: perceptual hashes, which differ in few bits where pictures look alike.

128 bits are of the whole card, 128 of the part where the art of nearly all cards is: sets and rarities share frames.
Each bit says whether a low frequency (DCT) of the grey picture is above the median. Plain functions that block.
"""

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

BITS = 256
# A straightened card: 5 to 7, as all common cards are.
WIDTH, HEIGHT = 320, 448
# Parts of width and height. The edge is left out: corners are round, and an outline may be a little off.
_WHOLE = (0.03, 0.03, 0.97, 0.97)
_ART = (0.09, 0.12, 0.91, 0.63)
_SIDE = 64
_FREQUENCIES_OF_A_PART = BITS // 2
# Shadows and lamps change slowly over a card: what is coarser than this part of its width is evened out.
_SHADE = 0.35


def fingerprint(card: Pixels) -> int:
    """Of an upright card that fills the picture (RGB, any size), as BITS bits."""
    grey = cv2.cvtColor(cv2.resize(card, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    even = _without_shade(grey.astype(np.float32))
    return _bits(even, _WHOLE) << _FREQUENCIES_OF_A_PART | _bits(even, _ART)


def distance(one: int, other: int) -> int:
    """How many bits differ: about BITS / 2 for pictures that have nothing in common."""
    return (one ^ other).bit_count()


def _without_shade(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    sigma = WIDTH * _SHADE
    mean = cv2.GaussianBlur(grey, (0, 0), sigma)
    spread = np.sqrt(cv2.GaussianBlur((grey - mean) ** 2, (0, 0), sigma)) + 8.0
    # A glare is brighter than anything on a card: it counts as white, and no more.
    evened: npt.NDArray[np.float32] = np.clip((grey - mean) / spread, -2.0, 2.0).astype(np.float32)
    return evened


def _bits(even: npt.NDArray[np.float32], part: tuple[float, float, float, float]) -> int:
    left, top, right, bottom = (round(edge * size) for edge, size in zip(part, (WIDTH, HEIGHT) * 2, strict=True))
    small = cv2.resize(even[top:bottom, left:right], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    values = cv2.dct(small)[_ORDER[:, 0], _ORDER[:, 1]]
    return int("".join("1" if above else "0" for above in values > np.median(values)), 2)


def _lowest_first() -> npt.NDArray[np.intp]:
    """Places of the lowest frequencies but the mean, by their sum."""
    places = [(row, column) for row in range(_SIDE) for column in range(_SIDE)]
    places.sort(key=lambda place: (place[0] + place[1], place))
    return np.array(places[1 : _FREQUENCIES_OF_A_PART + 1])


_ORDER = _lowest_first()
