"""Pictures that are encoded anew: what they show stays, and nothing else does."""

import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from chain.storage import reencoding
from chain.storage.errors import ContentError, ContentTooLarge, ImageTooLarge, InvalidImage, UnsupportedImage
from chain.storage.images import MEDIA_TYPES
from chain.storage.reencoding import reencoded

WRITTEN_AS = {
    "PNG": "image/png", "GIF": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "AVIF": "image/webp",
}  # fmt: skip
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
SECRET = b"<script>52.5200,13.4050</script>"
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def gradient(mode: str = "RGB", size: tuple[int, int] = (40, 56)) -> Image.Image:
    return Image.linear_gradient("L").resize(size).convert(mode)


def corners(size: tuple[int, int] = (64, 96)) -> Image.Image:
    """Red, green, blue and white, clockwise from the top left."""
    image = Image.new("RGB", size)
    half = (size[0] // 2, size[1] // 2)
    for colour, place in ((RED, (0, 0)), (GREEN, (half[0], 0)), (BLUE, half), (WHITE, (0, half[1]))):
        image.paste(colour, (*place, place[0] + half[0], place[1] + half[1]))
    return image


def opened(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    image.load()
    return image


def pixels(image: Image.Image) -> tuple[str, tuple[int, int], bytes]:
    return image.mode, image.size, image.tobytes()


def near(one: Image.Image, other: Image.Image, places: list[tuple[int, int]]) -> bool:
    """Whether the colours there are about the same, as lossy formats keep them."""
    pairs = [(one.convert("RGB").getpixel(place), other.convert("RGB").getpixel(place)) for place in places]
    return all(abs(a - b) < 16 for first, second in pairs for a, b in zip(first, second, strict=True))  # type: ignore[arg-type]


def with_secrets(kind: str) -> bytes:
    """A picture that says SECRET wherever its format has room for it, and behind its end."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = SECRET.decode()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSDateStamp] = SECRET.decode()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    text.add(b"evIl", SECRET)
    options: dict[str, object] = {
        "PNG": {"pnginfo": text},
        "JPEG": {"comment": SECRET, "xmp": SECRET, "extra": b"\xff\xe5" + struct.pack(">H", len(SECRET) + 2) + SECRET},
        "WEBP": {"xmp": SECRET.decode()},
        "AVIF": {"xmp": SECRET},
        "GIF": {"comment": SECRET},
    }[kind]  # type: ignore[assignment]
    if kind != "GIF":
        options |= {"exif": exif, "icc_profile": profile + SECRET}
    return saved(gradient(), kind, **options) + b"PK\x03\x04" + SECRET


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_nothing_but_the_picture_is_left(kind: str):
    sent = with_secrets(kind)
    assert SECRET in sent
    found = reencoded(sent)
    assert (found.media_type, found.width, found.height) == (WRITTEN_AS[kind], 40, 56)
    assert SECRET not in found.content
    assert b"script" not in found.content
    image = opened(found.content)
    assert image.getexif() == {}
    assert image.info.keys() & {"exif", "xmp", "icc_profile", "comment", "Comment", "XML:com.adobe.xmp"} == set()
    assert near(image, gradient(), [(20, 4), (20, 28), (20, 52)])


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_equal_files_have_equal_results(kind: str):
    sent = saved(gradient(), kind)
    assert reencoded(sent) == reencoded(sent)


@pytest.mark.parametrize(
    ("tag", "clockwise"),
    [
        (1, (RED, GREEN, BLUE, WHITE)), (2, (GREEN, RED, WHITE, BLUE)), (3, (BLUE, WHITE, RED, GREEN)),
        (4, (WHITE, BLUE, GREEN, RED)), (5, (RED, WHITE, BLUE, GREEN)), (6, (WHITE, RED, GREEN, BLUE)),
        (7, (BLUE, GREEN, RED, WHITE)), (8, (GREEN, BLUE, WHITE, RED)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_a_picture_is_stored_upright(kind: str, tag: int, clockwise: tuple[tuple[int, int, int], ...]):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = tag
    found = reencoded(saved(corners(), kind, exif=exif))
    assert (found.width, found.height) == ((64, 96) if tag < 5 else (96, 64))
    image = opened(found.content)
    assert image.size == (found.width, found.height)
    assert ExifTags.Base.Orientation not in image.getexif()
    right, below = found.width - 8, found.height - 8
    expected = Image.new("RGB", image.size)
    places = [(8, 8), (right, 8), (right, below), (8, below)]
    for place, colour in zip(places, clockwise, strict=True):
        expected.putpixel(place, colour)
    assert near(image, expected, places)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_exif_that_cannot_be_read_turns_nothing():
    found = reencoded(saved(corners(), "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\xff\xff broken"))
    assert (found.width, found.height) == (64, 96)


@given(st.data())
def test_lossless_pictures_keep_their_pixels_and_are_left_alone_the_second_time(data: st.DataObject):
    mode = data.draw(st.sampled_from(["L", "RGB", "RGBA"]))
    size = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    count = size[0] * size[1] * len(mode)
    image = Image.frombytes(mode, size, data.draw(st.binary(min_size=count, max_size=count)))
    found = reencoded(saved(image, "PNG"))
    assert pixels(opened(found.content)) == pixels(image)
    assert reencoded(found.content) == found


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_png_of_any_mode_shows_the_same(mode: str):
    image = gradient(mode)
    found = opened(reencoded(saved(image, "PNG")).content)
    assert found.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


def test_transparency_of_a_palette_stays():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([*RED, *GREEN])
    image.putpixel((0, 0), 0)
    for kind in ("PNG", "GIF"):
        found = opened(reencoded(saved(image, kind, transparency=0)).content).convert("RGBA")
        assert (found.getpixel((0, 0)), found.getpixel((1, 1))) == ((*RED, 0), (*GREEN, 255))


def test_grey_of_16_bits_is_reduced_and_not_cut_off():
    image = Image.new("I;16", (4, 4), 0x8000)
    assert opened(reencoded(saved(image, "PNG")).content).getpixel((1, 1)) == 0x80


def test_colours_of_a_print_become_those_of_a_screen():
    found = opened(reencoded(saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")).content)
    assert near(found, Image.new("RGB", (16, 16), RED), [(8, 8)])


def profile_with_red_and_green_exchanged() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = profile.replace(b"rXYZ", b"tmp!", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"tmp!", b"gXYZ", 1)
    return exchanged.replace("sRGB".encode("utf-16-be"), "other".encode("utf-16-be")[:8])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_colours_of_a_profile_are_the_same_without_it(kind: str):
    for mode, colour, expected in (("RGB", RED, GREEN), ("RGBA", (*GREEN, 100), RED)):
        if (mode, kind) == ("RGBA", "JPEG"):
            continue
        image = Image.new(mode, (16, 16), colour)
        found = opened(reencoded(saved(image, kind, icc_profile=profile_with_red_and_green_exchanged())).content)
        assert near(found, Image.new("RGB", (16, 16), expected), [(8, 8)])
        assert mode == "RGB" or found.getpixel((8, 8))[3] == 100  # type: ignore[index]


def test_a_broken_profile_is_ignored():
    found = reencoded(saved(gradient(), "PNG", icc_profile=b"no profile"))
    assert pixels(opened(found.content)) == pixels(gradient())


def test_lossless_webp_stays_lossless():
    image = gradient("RGBA")
    image.putalpha(Image.radial_gradient("L").resize(image.size).point(lambda value: max(value, 1)))
    for options in ({}, {"exif": b"Exif\x00\x00", "icc_profile": b"no profile"}):
        found = reencoded(saved(image, "WEBP", lossless=True, **options))
        assert found.media_type == "image/webp"
        assert pixels(opened(found.content)) == pixels(image)


def test_a_picture_too_long_for_webp_becomes_png():
    found = reencoded(saved(Image.new("RGB", (20_000, 2), RED), "AVIF"))
    assert (found.media_type, found.width) == ("image/png", 20_000)


def test_a_jpeg_of_several_pictures_is_its_first():
    found = reencoded(saved(gradient(), "MPO", save_all=True, append_images=[corners()]))
    assert (found.media_type, found.width, found.height) == ("image/jpeg", 40, 56)
    assert getattr(opened(found.content), "n_frames", 1) == 1


@pytest.mark.parametrize("kind", ANIMATED)
def test_an_animation_keeps_its_frames_times_and_loops(kind: str):
    frames = [Image.new("RGB", (32, 24), colour) for colour in (RED, GREEN, BLUE)]
    options: dict[str, object] = {"save_all": True, "append_images": frames[1:], "duration": [100, 200, 300]}
    if kind != "AVIF":
        options["loop"] = 0
    found = reencoded(saved(frames[0], kind, **options))
    assert (found.media_type, found.width, found.height) == ("image/webp", 32, 24)
    image = opened(found.content)
    assert (image.n_frames, image.info["loop"]) == (3, 0)  # type: ignore[attr-defined]
    for number, frame in enumerate(frames):
        image.seek(number)
        image.load()
        assert image.info["duration"] == 100 * (number + 1)
        assert near(image, frame, [(4, 4), (16, 12)])


def test_a_gif_that_is_shown_once_still_is():
    frames = [Image.new("L", (8, 8), light) for light in (0, 255)]
    found = reencoded(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert opened(found.content).info["loop"] == 1


def test_a_frame_that_is_larger_than_the_animation_is_refused():
    frames = [Image.new("L", (8, 8), light) for light in (0, 255)]
    gif = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], optimize=False)
    canvas = gif.replace(struct.pack("<HH", 8, 8), struct.pack("<HH", 4, 4), 1)
    second = canvas.rindex(b"," + bytes(4) + struct.pack("<HH", 8, 8))
    larger = canvas[: second + 5] + struct.pack("<HH", 9_000, 9_000) + canvas[second + 9 :]
    with pytest.raises(InvalidImage, match="one size"):
        reencoded(larger)


@pytest.mark.parametrize(
    "content",
    [b"", SECRET, b"<!doctype html><img>", b"%PDF-1.7", b"PK\x03\x04" + bytes(100), b"<svg xmlns='x'/>"],
    ids=lambda content: repr(content[:8]),
)
def test_what_is_no_picture_is_refused(content: bytes):
    with pytest.raises(UnsupportedImage):
        reencoded(content)


@pytest.mark.parametrize("start", [b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"RIFF0000WEBPVP8 "])
def test_a_page_that_begins_as_a_picture_does_is_refused(start: bytes):
    with pytest.raises((InvalidImage, ImageTooLarge)):
        reencoded(start + b"/*<html>" + SECRET * 10)


@pytest.mark.parametrize("kind", ANIMATED)
def test_an_animation_that_ends_early_is_refused_or_ends_there(kind: str):
    frames = [gradient("RGB", (100, 100)).rotate(turn) for turn in (0, 90, 180)]
    whole = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    try:
        found = reencoded(whole[: len(whole) * 2 // 3])
    except ContentError:
        return
    assert opened(found.content).size == (100, 100)


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_any_changed_byte_gives_a_picture_or_a_clear_error(kind: str):
    whole = with_secrets(kind)
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        changed = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        try:
            assert SECRET not in reencoded(changed).content
        except ContentError:
            continue


def test_a_result_that_takes_too_many_bytes_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reencoding, "REENCODED_BYTES_MAX", 100)
    with pytest.raises(ContentTooLarge) as refused:
        reencoded(saved(gradient(), "PNG"))
    assert refused.value.maximum == 100


def test_a_png_with_a_damaged_row_is_refused():
    sent = saved(gradient(), "PNG")
    place = sent.index(b"IDAT") + 20
    with pytest.raises(InvalidImage):
        reencoded(sent[:place] + zlib.compress(b"other") + sent[place + 13 :])
