"""Pictures to pixels: the one place where images are decoded and resized.

Everything after it is in the graph, so a picture becomes the same pixels in training, in evaluation
and on the device. What is done, in this order:

1. The first frame is read, and turned as its EXIF data say.
2. 16-bit greyscale keeps its high byte, as Pillow does for 16-bit colour.
3. Transparency is laid over white. (Dropping it would show whatever colour hides below.)
4. The colour becomes RGB or grey (ITU-R 601 luma).
5. The size becomes the contract's, by its resize rule and filter; a letterbox is black.
6. Where the contract says BGR, the channels are turned round.
"""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from edgecnn.errors import DataError
from edgecnn.spec import Color, InputContract

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_PIXELS = 64_000_000
_JPEG, _NETPBM = (".jpg", ".jpeg", ".jfif"), (".pgm", ".ppm", ".pnm")
SUFFIXES = frozenset((".bmp", ".gif", ".png", ".tif", ".tiff", ".webp", *_JPEG, *_NETPBM))
# Only these are tried: other decoders (EPS runs Ghostscript) have no business here.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


class Room:
    """Lets threads hold so many pixels at once; a picture that is larger goes alone.

    A picture of 64 million pixels takes 1.3 GiB while it is fitted: eight readers would take ten.

    Args:
        pixels: How many.
    """

    def __init__(self, pixels: int) -> None:
        self._most = pixels
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def room_for(self, pixels: int) -> Iterator[None]:
        """Wait until there is room, and take it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + pixels <= self._most)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()


_UNPACKED = Room(MAX_PIXELS)


@dataclass(frozen=True)
class Decoded:
    """What was read of a picture.

    Attributes:
        pixels: uint8 [height, width, channels] of the contract's size and colour.
        animated: The file holds more frames or pages than the first, which was read.
    """

    pixels: NDArray[np.uint8]
    animated: bool


def decode(source: Path | bytes, contract: InputContract, *, name: str = "") -> NDArray[np.uint8]:
    """Read a picture as pixels of the contract's size and colour.

    Args:
        source: A file, or its content.
        contract: Size, colour, resize rule and filter.
        name: What to call the picture in an error; the file's path, if left out.

    Returns:
        uint8 [height, width, channels].

    Raises:
        DataError: It is no picture, is damaged, has more than 64 million pixels, or pixel values
            whose range is not known.
    """
    return read(source, contract, name=name).pixels


def read(
    source: Path | bytes, contract: InputContract, *, name: str = "", max_pixels: int = MAX_PIXELS
) -> Decoded:
    """Read a picture as `decode` does, and say whether it has more frames.

    Args:
        source: A file or a pipe, or the content.
        contract: Size, colour, resize rule and filter.
        name: What to call the picture in an error; the file's path, if left out.
        max_pixels: Pictures with more are refused by their header, before anything is unpacked.
            Above Pillow's own limit it holds only inside `allowing`.

    Raises:
        DataError: As `decode`.
    """
    name = name or (str(source) if isinstance(source, Path) else "The picture")
    remedy = "Mend or remove it."
    try:
        with _opened(source, max_pixels) as file, Image.open(file, formats=_FORMATS) as picture:
            _refuse_bomb(picture, max_pixels)
            with _UNPACKED.room_for(picture.width * picture.height):
                return Decoded(fit(picture, contract), _animated(picture))
    except DataError as error:
        raise DataError(f"{name} cannot be used. {error.problem}", error.remedy) from error
    except UnidentifiedImageError:
        reason = "no image format was recognised"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        reason = f"it has more than {max_pixels:,} pixels"
    except FileNotFoundError as error:
        reason, remedy = error.strerror or str(error), "Check the path."
    except OSError as error:
        reason = error.strerror or str(error)
    except Exception as error:  # damaged files make Pillow's decoders fail in many ways
        reason = str(error) or type(error).__name__
    raise DataError(f"{name} is not an image that can be read: {reason}.", remedy)


def read_piped(read: Callable[[int], bytes], max_pixels: int) -> bytes:
    """Read a stream that is one picture, if it ends.

    Args:
        read: Gives as many bytes as it is asked for, fewer at the end.
        max_pixels: The most pixels that the picture may have.

    Raises:
        DataError: It is larger than any such picture.
    """
    most = 8 * max_pixels + (16 << 20)  # four channels of 16 bits, not packed, and its metadata
    content = read(most)
    if len(content) >= most:
        raise DataError(f"It is larger than any picture of {max_pixels:,} pixels.", "Give a file.")
    return content


@contextmanager
def allowing(max_pixels: int) -> Iterator[None]:
    """Let Pillow open pictures with so many pixels; its own limit is the process's."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None if before is None else max(before, max_pixels)
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


@contextmanager
def _opened(source: Path | bytes, max_pixels: int) -> Iterator[IO[bytes]]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    with source.open("rb") as file:
        kind = os.fstat(file.fileno()).st_mode
        if stat.S_ISREG(kind):
            yield file  # read as far as needed: a file with many frames may be large
        elif stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
            yield io.BytesIO(read_piped(file.read, max_pixels))
        else:
            raise DataError("It is a device, which may have no end.", "Give a file.")


def _refuse_bomb(picture: Picture, max_pixels: int) -> None:
    if picture.width * picture.height > max_pixels:
        raise Image.DecompressionBombError


def _animated(picture: Picture) -> bool:
    if picture.format == "MPO":  # a JPEG from a telephone, with a preview or a second lens behind
        return False
    try:
        return bool(getattr(picture, "is_animated", False))
    except Exception:  # there is something behind the first frame, and it is damaged
        return True


def fit(picture: Picture, contract: InputContract) -> NDArray[np.uint8]:
    """Bring a Pillow image to pixels of the contract's size and colour.

    Args:
        picture: An image of any mode and size.
        contract: Size, colour, resize rule and filter.

    Returns:
        uint8 [height, width, channels].

    Raises:
        DataError: The range of its pixel values is not known.
    """
    picture = _resized(_to_color(_upright(picture), contract), contract)
    return _turned(np.array(picture, np.uint8).reshape(contract.pixel_shape), contract.color)


def fit_all(images: NDArray[np.uint8], contract: InputContract) -> NDArray[np.uint8]:
    """Bring pixels that are in memory to the contract's size and colour.

    Args:
        images: uint8 [N, height, width] grey, or [N, height, width, channels] with 1 (grey),
            3 (RGB) or 4 (RGBA) channels.
        contract: Size, colour, resize rule and filter.

    Returns:
        uint8 [N, height, width, channels], C-contiguous.
    """
    if images.shape[1:] == contract.pixel_shape:
        return _turned(np.ascontiguousarray(images), contract.color)
    if images.shape[3:] == (1,):
        images = images[..., 0]
    fitted = np.empty((len(images), *contract.pixel_shape), np.uint8)
    for index, image in enumerate(images):
        fitted[index] = fit(Image.fromarray(np.ascontiguousarray(image)), contract)
    return fitted


def thumbnail(pixels: NDArray[np.uint8], color: Color, side: int) -> bytes:
    """Give pixels as a small PNG file to look at.

    Args:
        pixels: uint8 [height, width, channels] as a model takes them.
        color: What the channels are.
        side: The most pixels that the PNG is wide or high; smaller ones keep their size.
    """
    picture = Image.fromarray(pixels[..., 0] if color == "gray" else _turned(pixels, color))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _turned(pixels: NDArray[np.uint8], color: Color) -> NDArray[np.uint8]:
    return np.ascontiguousarray(pixels[..., ::-1]) if color == "bgr" else pixels


def _upright(picture: Picture) -> Picture:
    file_format = picture.format
    turned: Picture = ImageOps.exif_transpose(picture)
    turned.format = file_format  # which the turn forgets
    return turned


def _to_color(picture: Picture, contract: InputContract) -> Picture:
    picture = _to_8_bits(picture)
    if picture.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in picture.info:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    if picture.mode not in {"RGB", "L"}:
        picture = picture.convert("RGB")
    return picture.convert("L" if contract.color == "gray" else "RGB")


def _to_8_bits(picture: Picture) -> Picture:
    # Pillow's own conversion clips at 255, which turns 16-bit greyscale white.
    sixteen = picture.mode.startswith("I;16") or (
        picture.mode == "I" and picture.format in {"PNG", "PPM"}
    )
    if sixteen:
        values = np.asarray(picture).astype(np.uint32)
        return Image.fromarray((values >> 8).astype(np.uint8))
    if picture.mode in {"I", "F"}:
        kind = "32-bit integers" if picture.mode == "I" else "floating-point numbers"
        raise DataError(
            f"The pixels are {kind}, whose range is not known.",
            "Save it with 8 or 16 bits for each channel.",
        )
    return picture


def _resized(picture: Picture, contract: InputContract) -> Picture:
    rule, _, number = contract.resize.partition(" ")
    size, kind = (contract.width, contract.height), Image.Resampling[contract.filter.upper()]
    if rule == "stretch":
        return picture.resize(size, kind)
    if rule == "letterbox":
        scale = min(size[0] / picture.width, size[1] / picture.height)
        _refuse_ribbon(picture, contract, bad=round(scale * min(picture.size)) == 0)
        return ImageOps.pad(picture, size, kind)
    # Rounded as torchvision's Resize and CenterCrop do.
    width, height = (int(number) * side // min(picture.size) for side in picture.size)
    _refuse_ribbon(picture, contract, bad=width * height > MAX_PIXELS)
    left, top = round((width - contract.width) / 2), round((height - contract.height) / 2)
    box = (left, top, left + contract.width, top + contract.height)
    return picture.resize((width, height), kind).crop(box)


def _refuse_ribbon(picture: Picture, contract: InputContract, *, bad: bool) -> None:
    if bad:
        raise DataError(
            f"Its shape, {picture.width}x{picture.height}, is too long for '{contract.resize}' to "
            f"{contract.width}x{contract.height}.",
            "Cut it, or use --resize stretch.",
        )
