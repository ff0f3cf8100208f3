"""Ten shapes rendered from a seed: data that needs no download.

Bit for bit the same on every machine: the random numbers are PCG64's raw stream, which NumPy
promises never to change, and the pixels come from additions, multiplications, divisions and square
roots alone, which IEEE 754 rounds in one way only. Sines and the like differ from CPU to CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.data._dataset import Dataset, Request, Split
from edgecnn.spec import InputContract

USAGE = "synthetic"
TRAIN_IMAGES, TEST_IMAGES = 20_000, 4_000
_VERSION = 1
_CHUNK = 64

Floats: TypeAlias = npt.NDArray[np.floating[Any]]


def accepts(source: str) -> bool:
    """Say whether the shapes are meant."""
    return source == "synthetic"


def load(request: Request) -> Dataset:
    """Render the shapes at the contract's size and colour."""
    contract, seed = request.contract, request.seed
    return Dataset(
        name="synthetic",
        source="synthetic",
        labels=LABELS,
        train=render(contract, seed, part=0, count=TRAIN_IMAGES),
        test=render(contract, seed, part=1, count=TEST_IMAGES),
        seed=seed,
    )


def render(contract: InputContract, seed: int, *, part: int, count: int) -> Split:
    """Render one split, the classes as equal as possible.

    Args:
        contract: Size and colour of the images.
        seed: Seed of everything.
        part: Splits with different numbers share no image.
        count: Number of images.
    """
    random = _Random(_VERSION, seed, part)
    labels = (np.argsort(random.raw(count), kind="stable") % len(LABELS)).astype(np.int64)
    images = np.empty((count, *contract.pixel_shape), np.uint8)
    for label, shape in enumerate(_SHAPES.values()):
        members = np.flatnonzero(labels == label)
        for start in range(0, len(members), _CHUNK):
            chunk = members[start : start + _CHUNK]
            images[chunk] = _render_chunk(random, shape, len(chunk), contract)
    return Split(images, labels)


class _Random:
    """Random numbers from PCG64's raw 64-bit words."""

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def raw(self, count: int) -> npt.NDArray[np.uint64]:
        return np.asarray(self._bits.random_raw(count), np.uint64)

    def uniform(self, low: float, high: float, *shape: int) -> Floats:
        count = int(np.prod(shape))
        unit = (self.raw(count) >> np.uint64(40)).astype(np.float32) * 2.0**-24
        return unit.reshape(shape) * high - low + low

    def noise(self, *shape: int) -> Floats:
        """Triangular noise of variance 1: the difference of two random bytes."""
        count = int(np.prod(shape))
        octets = self.raw(-(-count // 4)).view(np.uint8)[: 2 * count].astype(np.float32)
        return ((octets[:count] - octets[count:]) * 1 / 104.5).reshape(shape)

    def direction(self, count: int) -> tuple[Floats, Floats]:
        """Unit vectors; a little denser along the diagonals, which does not matter here."""
        x, y = self.uniform(-1, 1, 2, count, 1, 1)
        length = np.maximum(np.sqrt(x * x + y * y), 1e-6)
        return x / length, y / length


def _render_chunk(
    random: _Random, shape: Callable[[Floats, Floats], Floats], count: int, contract: InputContract
) -> npt.NDArray[np.uint8]:
    x, y, pixel = _grid(contract)
    back, front = _colors(random, count, contract.channels)
    layers = [back + _slope(random, count) * (x * 1.0) for back in back]
    for _ in range(2):
        cover = _line(random, count, x, y, pixel)
        tint = random.uniform(0, 255, contract.channels, count, 1, 1)
        layers = [layer + cover * (tint[c] - layer) for c, layer in enumerate(layers)]
    cover = _place(random, shape, count, x, y, pixel)
    layers = [layer + cover * (front[c] - layer) for c, layer in enumerate(layers)]
    strength = random.uniform(*_NOISE, count, 1, 1)
    noisy = [layer + strength * random.noise(*layer.shape) for layer in layers]
    pixels = np.stack([np.rint(np.minimum(np.maximum(n, 0), 255)) for n in noisy], axis=-1)
    return pixels.astype(np.uint8)


_SCALE = (0.3, 0.85)
_NOISE = (5.0, 40.0)
_CONTRAST = (40.0, 160.0)


def _grid(contract: InputContract) -> tuple[Floats, Floats, float]:
    """Pixel centres from -1 to 1 along the shorter side, and the size of a pixel."""
    pixel = 2 / min(contract.height, contract.width)
    x = (np.arange(contract.width) - (contract.width - 1) / 2) * pixel
    y = (np.arange(contract.height) - (contract.height - 1) / 2) * pixel
    return (
        x.astype(np.float32)[None, None, :],
        y.astype(np.float32)[None, :, None],
        pixel,
    )


def _colors(random: _Random, count: int, channels: int) -> tuple[Floats, Floats]:
    back = random.uniform(0, 255, channels, count, 1, 1)
    step = random.uniform(*_CONTRAST, channels, count, 1, 1)
    up = random.uniform(0, 1, channels, count, 1, 1) < 0.5
    front = np.where(up, back + step, back - step)
    front = np.where(front > 255, back - step, front)
    front = np.where(front < 0, back + step, front)
    return back, front.astype(np.float32)


def _slope(random: _Random, count: int) -> Floats:
    return random.uniform(-30, 30, count, 1, 1)


def _line(random: _Random, count: int, x: Floats, y: Floats, pixel: float) -> Floats:
    dx, dy = random.direction(count)
    away = random.uniform(-1, 1, count, 1, 1)
    thick = random.uniform(0.02, 0.12, count, 1, 1)
    return _cover(np.abs(dx * x + dy * y - away) - thick, pixel)


def _place(
    random: _Random,
    shape: Callable[[Floats, Floats], Floats],
    count: int,
    x: Floats,
    y: Floats,
    pixel: float,
) -> Floats:
    scale = random.uniform(*_SCALE, count, 1, 1)
    cosine, sine = random.direction(count)
    free = np.maximum(1 - scale, 0)
    px = x - free * random.uniform(-1, 1, count, 1, 1)
    py = y - free * random.uniform(-1, 1, count, 1, 1)
    u = (cosine * px + sine * py) / scale
    v = (cosine * py - sine * px) / scale
    return _cover(shape(u, v) * scale, pixel)


def _cover(distance: Floats, pixel: float) -> Floats:
    cover: Floats = np.minimum(np.maximum(0.5 - distance / pixel, 0), 1)
    return cover


def _both(a: Floats, b: Floats) -> Floats:
    common: Floats = np.maximum(a, b)
    return common


def _either(a: Floats, b: Floats) -> Floats:
    union: Floats = np.minimum(a, b)
    return union


def _arrow(x: Floats, y: Floats) -> Floats:
    side = np.abs(x)
    head = _both(0.8 * side + 0.6 * y - 0.55, -y)
    shaft = _both(side - 0.25, np.abs(y + 0.45) - 0.5)
    return _either(head, shaft)


def _circle(x: Floats, y: Floats) -> Floats:
    return np.sqrt(x * x + y * y) - 0.85


def _crescent(x: Floats, y: Floats) -> Floats:
    bite = (x - 0.45) ** 2 + y * y
    return _both(_circle(x, y), 0.7 - np.sqrt(bite))


def _cross(x: Floats, y: Floats) -> Floats:
    across, along = np.abs(x), np.abs(y)
    return _either(_both(across - 0.9, along - 0.28), _both(across - 0.28, along - 0.9))


def _heart(x: Floats, y: Floats) -> Floats:
    side, up = np.abs(x), y + 0.2
    diamond = (side + np.abs(up)) * 0.7071 - 0.58
    lobe = np.sqrt((side - 0.41) ** 2 + (up - 0.41) ** 2) - 0.58
    return _either(diamond, lobe)


def _hexagon(x: Floats, y: Floats) -> Floats:
    side = np.abs(x)
    return _both(side * 0.866 + np.abs(y) * 0.5, np.abs(y)) - 0.8


def _ring(x: Floats, y: Floats) -> Floats:
    return np.abs(np.sqrt(x * x + y * y) - 0.65) - 0.22


def _square(x: Floats, y: Floats) -> Floats:
    return _both(np.abs(x), np.abs(y)) - 0.72


def _star(x: Floats, y: Floats) -> Floats:
    # Inside a five-pointed star at most one of its five lines is crossed.
    first = second = np.full_like(x, -9)
    for nx, ny in _FIVE:
        edge = nx * x + ny * y
        second = _both(second, _either(first, edge))
        first = _both(first, edge)
    return second - 0.32


def _triangle(x: Floats, y: Floats) -> Floats:
    return _both(np.abs(x) * 0.866 + y * 0.5, -y) - 0.48


_FIVE = (
    (0.0, 1.0),
    (0.951057, 0.309017),
    (0.587785, -0.809017),
    (-0.587785, -0.809017),
    (-0.951057, 0.309017),
)
_SHAPES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "arrow": _arrow,
    "circle": _circle,
    "crescent": _crescent,
    "cross": _cross,
    "heart": _heart,
    "hexagon": _hexagon,
    "ring": _ring,
    "square": _square,
    "star": _star,
    "triangle": _triangle,
}
LABELS = tuple(_SHAPES)
