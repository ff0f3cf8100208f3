from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edgecnn import images
from edgecnn.errors import DataError
from edgecnn.images import MAX_PIXELS, Room, allowing, decode, fit, fit_all, read, read_piped
from edgecnn.spec import InputContract

Pixels = NDArray[np.uint8]
Color = Literal["rgb", "gray"]


def contract(
    height: int, width: int, color: Color = "rgb", resize: str = "stretch", kind: str = "bilinear"
) -> InputContract:
    channels = 3 if color == "rgb" else 1
    mean, std = (0.0,) * channels, (1.0,) * channels
    return InputContract(height, width, color, mean=mean, std=std, resize=resize, filter=kind)


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    shape = (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def solid(value: object, mode: str, **info: object) -> Image.Image:
    return Image.new(mode, (4, 4), value)  # type: ignore[arg-type]


def test_a_picture_of_the_right_size_keeps_its_pixels(tmp_path: Path) -> None:
    pixels = noise(5, 7)
    path = tmp_path / "x.png"
    path.write_bytes(encoded(Image.fromarray(pixels)))
    for source in (path, path.read_bytes()):
        found = decode(source, contract(5, 7))
        np.testing.assert_array_equal(found, pixels)
        assert found.dtype == np.uint8
        assert found.flags.c_contiguous
        assert found.flags.writeable


# How the camera's sensor lay when EXIF says so: stored[...] of an upright picture.
_STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", _STORED)
def test_exif_turns_the_picture_upright(orientation: int) -> None:
    upright = noise(5, 7)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(_STORED[orientation](upright))
    content = encoded(Image.fromarray(stored), exif=exif)
    np.testing.assert_array_equal(decode(content, contract(5, 7)), upright)


def pgm_16(values: NDArray[np.uint16]) -> bytes:
    height, width = values.shape
    return b"P5 %d %d 65535\n" % (width, height) + values.astype(">u2").tobytes()


def test_16_bit_grey_keeps_its_high_byte() -> None:
    high = np.arange(256, dtype=np.uint16).reshape(16, 16)
    values = high * 256 + np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint16)
    picture = Image.fromarray(values)
    assert picture.mode.startswith("I;16")
    for content in (encoded(picture), encoded(picture, "TIFF"), pgm_16(values)):
        found = decode(content, contract(16, 16, "gray"))
        np.testing.assert_array_equal(found[..., 0], high)
        np.testing.assert_array_equal(decode(content, contract(16, 16)), found.repeat(3, axis=2))


def test_transparency_lies_over_white() -> None:
    half_red = solid((255, 0, 0, 128), "RGBA")
    assert decode(encoded(half_red), contract(4, 4))[0, 0].tolist() == [255, 127, 127]
    hidden = solid((10, 20, 30, 0), "RGBA")
    assert decode(encoded(hidden), contract(4, 4)).min() == 255
    assert decode(encoded(solid((0, 64), "LA")), contract(4, 4, "gray"))[0, 0].tolist() == [191]


@pytest.mark.parametrize(("mode", "color"), [("L", 7), ("RGB", (1, 2, 3)), ("P", 1)])
def test_a_transparent_colour_is_white(mode: str, color: int | tuple[int, int, int]) -> None:
    picture = solid(color, mode)
    if mode == "P":
        picture.putpalette([9, 9, 9, 50, 60, 70])
    assert decode(encoded(picture), contract(4, 4)).max() < 80
    assert decode(encoded(picture, transparency=color), contract(4, 4)).min() == 255


def test_palettes_bits_and_grey_become_colours() -> None:
    palette = solid(1, "P")
    palette.putpalette([0, 0, 0, 200, 100, 50])
    for kind in ("PNG", "GIF", "BMP"):
        assert decode(encoded(palette, kind), contract(4, 4))[0, 0].tolist() == [200, 100, 50]
    assert decode(encoded(solid(1, "1")), contract(4, 4)).min() == 255
    assert decode(encoded(solid(77, "L")), contract(4, 4))[0, 0].tolist() == [77] * 3


def test_colour_becomes_grey_by_luma() -> None:
    for color, luma in (((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29)):
        content = encoded(solid(color, "RGB"))
        assert decode(content, contract(4, 4, "gray"))[0, 0].tolist() == [luma]


@pytest.mark.parametrize("color", ["rgb", "gray"])
@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_is_ink_not_light(kind: str, color: Color) -> None:
    magenta_and_yellow = solid((0, 255, 255, 0), "CMYK")
    found = decode(encoded(magenta_and_yellow, kind), contract(4, 4, color))[0, 0]
    wanted = [255, 0, 0] if color == "rgb" else [76]
    np.testing.assert_allclose(found, wanted, atol=0 if kind == "TIFF" else 3)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [solid(color, "RGB") for color in ((255, 0, 0), (0, 0, 255))]
    for kind in ("GIF", "PNG", "WEBP"):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert decode(content, contract(4, 4))[0, 0].argmax() == 0


def test_more_frames_than_the_first_are_noticed(tmp_path: Path) -> None:
    frames = [solid(color, "RGB") for color in ((255, 0, 0), (0, 0, 255))]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        path = tmp_path / kind
        for more in (frames[1:], []):
            path.write_bytes(encoded(frames[0], kind, save_all=True, append_images=more))
            assert read(path, contract(4, 4)).animated == bool(more), kind
    assert not read(encoded(frames[0], "JPEG"), contract(4, 4)).animated


def test_a_damaged_second_frame_spoils_not_the_first() -> None:
    frames = [Image.fromarray(noise(8, 8, seed=seed)) for seed in range(2)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    wanted = decode(content, contract(8, 8))
    for end in range(len(content) * 2 // 3, len(content)):
        found = read(content[:end], contract(8, 8))
        np.testing.assert_array_equal(found.pixels, wanted)


@pytest.mark.parametrize(("mode", "what"), [("I", "32-bit integers"), ("F", "floating-point")])
def test_pixels_of_unknown_range_are_refused(mode: str, what: str) -> None:
    content = encoded(Image.new(mode, (4, 4), 3), "TIFF")
    with pytest.raises(DataError, match=f"scan.tif cannot be used. The pixels are {what}") as error:
        decode(content, contract(4, 4), name="scan.tif")
    assert "8 or 16 bits" in error.value.remedy


def sized(png: bytes, width: int, height: int) -> bytes:
    """Let a PNG file claim another size."""
    header = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


@pytest.mark.parametrize("side", [8001, 10_000, 13_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(side: int) -> None:
    content = sized(encoded(solid(1, "1")), side, side)
    with pytest.raises(DataError, match=f"more than {MAX_PIXELS:,} pixels"):
        decode(content, contract(4, 4))


JPEG = encoded(Image.fromarray(noise(64, 64)), "JPEG")


def test_the_limit_on_pixels_can_be_set() -> None:
    content = encoded(Image.new("1", (100, 50)))
    assert read(content, contract(4, 4), max_pixels=5000).pixels.shape == (4, 4, 3)
    with pytest.raises(DataError, match="more than 4,999 pixels"):
        read(content, contract(4, 4), max_pixels=4999)


def test_pillows_own_limit_gives_way_only_while_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    content = encoded(Image.new("1", (100, 50)))
    with pytest.raises(DataError, match="more than 6,000 pixels"):
        read(content, contract(4, 4), max_pixels=6000)
    with allowing(6000):
        assert read(content, contract(4, 4), max_pixels=6000).pixels.shape == (4, 4, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_threads_wait_for_room_for_large_pictures() -> None:
    room, entered, leave = Room(100), threading.Event(), threading.Event()

    def hold(pixels: int) -> None:
        with room.room_for(pixels):
            entered.set()
            leave.wait(60)

    with room.room_for(70):
        small = threading.Thread(target=hold, args=(30,))
        small.start()
        assert entered.wait(60)
        entered.clear()
        large = threading.Thread(target=hold, args=(500,))
        large.start()
        assert not entered.wait(0.2)
    assert not entered.wait(0.2)  # the small one is still there
    leave.set()
    assert entered.wait(60)  # alone it may be larger than the room
    for thread in (small, large):
        thread.join()


def test_a_picture_that_cannot_be_used_gives_its_room_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "_UNPACKED", Room(16))
    for _ in range(2):
        with pytest.raises(DataError):
            decode(encoded(Image.new("F", (4, 4)), "TIFF"), contract(4, 4))
    waits = threading.Thread(
        target=decode, args=(encoded(solid(7, "L")), contract(4, 4)), daemon=True
    )
    waits.start()
    waits.join(60)
    assert not waits.is_alive()


def test_a_pipe_is_read_and_a_device_is_not(tmp_path: Path) -> None:
    pixels = noise(5, 7)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = encoded(Image.fromarray(pixels))
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    np.testing.assert_array_equal(decode(pipe, contract(5, 7)), pixels)
    writer.join()
    with pytest.raises(DataError, match=r"/dev/zero cannot be used\. It is a device"):
        decode(Path("/dev/zero"), contract(5, 7))


def test_a_stream_without_an_end_is_left() -> None:
    with pytest.raises(DataError, match="larger than any picture of 100 pixels"):
        read_piped(bytes, 100)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no image format was recognised"),
        (b"not an image at all", "no image format was recognised"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (encoded(Image.fromarray(noise(64, 64)))[:3000], "truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n", "no image format was recognised"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "no image format was recognised"),
    ],
)
def test_what_is_no_picture_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as error:
        decode(path, contract(4, 4))
    assert error.value.problem.startswith(f"{path} is not an image that can be read: ")


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(DataError, match=r"No such file|Is a directory|Permission") as error:
            decode(path, contract(4, 4))
        assert (error.value.remedy == "Check the path.") == (not path.exists())


@given(flips=st.lists(st.tuples(st.integers(0, len(JPEG) - 1), st.integers(0, 7)), max_size=20))
@settings(deadline=None, max_examples=40)
@pytest.mark.filterwarnings("ignore")
def test_damage_is_pixels_or_an_error_and_nothing_else(flips: list[tuple[int, int]]) -> None:
    content = bytearray(JPEG)
    for place, bit in flips:
        content[place] ^= 1 << bit
    with suppress(DataError):
        assert decode(bytes(content), contract(8, 8)).shape == (8, 8, 3)


@given(
    size=st.tuples(st.integers(12, 40), st.integers(12, 40)),
    wanted=st.tuples(st.integers(2, 24), st.integers(2, 24)),
    color=st.sampled_from(["rgb", "gray"]),
    rule=st.sampled_from(["stretch", "letterbox", "crop 24", "crop 37"]),
    mode=st.sampled_from(["RGB", "L", "RGBA", "LA", "P", "1", "CMYK", "I;16", "YCbCr"]),
)
@settings(deadline=None)
def test_any_picture_fits_any_contract(
    size: tuple[int, int], wanted: tuple[int, int], color: Color, rule: str, mode: str
) -> None:
    found = fit(Image.new(mode, size), contract(*wanted, color, rule))
    assert found.shape == (*wanted, 3 if color == "rgb" else 1)
    assert found.dtype == np.uint8


@given(
    size=st.tuples(st.integers(8, 90), st.integers(8, 90)),
    side=st.integers(16, 40),
    wanted=st.tuples(st.integers(5, 16), st.integers(5, 16)),
)
@settings(deadline=None, max_examples=50)
def test_crop_is_what_torchvision_does(
    size: tuple[int, int], side: int, wanted: tuple[int, int]
) -> None:
    from torchvision.transforms import CenterCrop, Resize

    picture = Image.fromarray(noise(*size))
    theirs = np.asarray(CenterCrop(wanted)(Resize(side)(picture)))
    np.testing.assert_array_equal(fit(picture, contract(*wanted, resize=f"crop {side}")), theirs)


def test_stretch_fills_the_input_with_the_filter_named() -> None:
    picture = Image.fromarray(noise(9, 20))
    kinds = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
    found = [fit(picture, contract(6, 5, kind=kind)) for kind in kinds]
    for kind, pixels in zip(kinds, found, strict=True):
        theirs = picture.resize((5, 6), Image.Resampling[kind.upper()])
        np.testing.assert_array_equal(pixels, np.asarray(theirs))
    assert len({pixels.tobytes() for pixels in found}) == len(kinds)


def test_letterbox_keeps_the_shape_between_black_bars() -> None:
    wide = fit(Image.new("RGB", (40, 10), "white"), contract(16, 16, resize="letterbox"))
    assert (wide[6:10] == 255).all()
    assert not wide[:6].any()
    assert not wide[10:].any()
    tall = fit(Image.new("L", (10, 20), 255), contract(8, 8, "gray", "letterbox"))
    assert (tall[:, 2:6] == 255).all()
    assert not tall[:, :2].any()


@pytest.mark.parametrize("rule", ["crop 64", "letterbox"])
def test_a_ribbon_is_neither_blown_up_nor_lost(rule: str) -> None:
    ribbon = encoded(Image.new("L", (1, 60_000), 255))
    with pytest.raises(DataError, match=f"1x60000, is too long for '{rule}' to 8x8"):
        decode(ribbon, contract(8, 8, resize=rule))
    assert decode(ribbon, contract(8, 8)).min() == 255


@pytest.mark.parametrize("color", ["rgb", "gray"])
@pytest.mark.parametrize("channels", [0, 1, 3, 4])
def test_arrays_fit_as_files_do(channels: int, color: Color) -> None:
    images = np.stack([noise(6, 9, max(channels, 1), seed) for seed in range(3)])
    images = images if channels else images[..., 0]
    wanted = contract(5, 4, color)
    found = fit_all(images, wanted)
    for image, pixels in zip(images, found, strict=True):
        content = encoded(Image.fromarray(image[..., 0] if channels == 1 else image))
        np.testing.assert_array_equal(pixels, decode(content, wanted))


def test_arrays_of_the_right_size_are_left_alone() -> None:
    images = np.stack([noise(6, 9, 3, seed) for seed in range(3)])
    assert fit_all(images, contract(6, 9)) is images
    np.testing.assert_array_equal(fit_all(images[:, ::-1], contract(6, 9)), images[:, ::-1])
    assert fit_all(images[:, ::-1], contract(6, 9)).flags.c_contiguous


def test_bgr_pixels_are_rgb_pixels_turned_round() -> None:
    picture = Image.fromarray(np.random.default_rng(4).integers(0, 256, (9, 7, 3), np.uint8))
    rgb, bgr = InputContract(5, 6), InputContract(5, 6, color="bgr")
    np.testing.assert_array_equal(fit(picture, bgr), fit(picture, rgb)[..., ::-1])
    arrays = np.asarray(picture)[None]
    for size in ((5, 6), (9, 7)):
        turned = fit_all(arrays, InputContract(*size, color="bgr"))
        np.testing.assert_array_equal(turned, fit_all(arrays, InputContract(*size))[..., ::-1])
        assert turned.flags.c_contiguous
