"""Ten shapes rendered from a seed: data that needs no download.

Bit for bit the same on every machine: the random numbers are PCG64's raw words, which NumPy
promises never to change, and the pixels come from additions, multiplications, divisions and square
roots alone, which IEEE 754 rounds in one way only. Sines and exponentials differ from CPU to CPU.

How hard it is: a LeNet ends near nine in ten. What it misses is small, pale, noisy or covered; no
label is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgecnn.data._cache import cached
from edgecnn.data._dataset import Dataset, Request, Split, fit_some
from edgecnn.data._shapes import SHAPES, Floats, Shape, box
from edgecnn.data._storage import allocate, fitted, refuse_too_large
from edgecnn.spec import InputContract

USAGE = "synthetic"
LABELS = tuple(SHAPES)
TRAIN_IMAGES, TEST_IMAGES = 20_000, 4_000

_VERSION = 1  # of the rendering: to be raised whenever a pixel changes
_SCALE = (0.45, 0.9)  # of the shape, in halves of the picture's shorter side
_TURN = 0.414  # tangent of half the largest angle: 45 degrees
_MOVE = 0.8  # share of the free space that a shape may move into
_CONTRAST = (45, 160)  # difference of shape and ground in each channel
_SLOPE = (-30, 30)  # change of the ground from the middle to the side
_STROKES, _STROKE_LENGTH, _STROKE_WIDTH = 2, 0.3, (0.04, 0.1)
_NOISE = (5, 35)  # standard deviation, in pixel values
_CHUNK_PIXELS = 1 << 15  # small enough for the CPU's caches


def accepts(source: str) -> bool:
    """Say whether the shapes are meant."""
    return source == "synthetic"


def load(request: Request) -> Dataset:
    """Render the shapes at the contract's size and colour, or take them from the cache."""
    contract, seed = _as_rgb(request.contract), request.seed
    refuse_too_large(TRAIN_IMAGES + TEST_IMAGES, contract.pixel_shape)
    height, width, _ = contract.pixel_shape
    name = f"synthetic-{height}x{width}-{contract.color}-seed{seed}"
    arrays, notes = cached(name, f"version {_VERSION}", lambda: _render_both(contract, seed))
    return Dataset(
        name="synthetic",
        source="synthetic",
        labels=LABELS,
        train=Split(fitted(arrays["x_train"], request.contract), arrays["y_train"]),
        test=Split(fitted(arrays["x_test"], request.contract), arrays["y_test"]),
        seed=seed,
        notes=notes,
    )


def sample(
    request: Request, contracts: Sequence[InputContract], count: int
) -> tuple[tuple[str, ...], tuple[Split, ...]]:
    """Render some images of their own, in several forms; they are in neither split."""
    drawn = render(_as_rgb(request.contract), request.seed, part=3, count=count)
    return LABELS, fit_some(drawn.images, drawn.labels, contracts, count)


def render(contract: InputContract, seed: int, *, part: int, count: int) -> Split:
    """Render one split, the classes as equal as possible.

    Args:
        contract: Size and colour of the images.
        seed: Seed of everything.
        part: Splits with different numbers are drawn independently.
        count: Number of images.
    """
    random = _Random(_VERSION, seed, part)
    labels = (np.argsort(random.words(count), kind="stable") % len(LABELS)).astype(np.int64)
    images = allocate(count, contract.pixel_shape)
    grid = _Grid.of(contract)
    size = max(1, _CHUNK_PIXELS // (contract.height * contract.width))
    for label, shape in enumerate(SHAPES.values()):
        members = np.flatnonzero(labels == label)
        for start in range(0, len(members), size):
            chunk = members[start : start + size]
            images[chunk] = _render_chunk(random, shape, len(chunk), grid, contract.channels)
    return Split(images, labels)


def _as_rgb(contract: InputContract) -> InputContract:
    # The colours are drawn as RGB; a net that takes BGR is shown the same pictures, turned round.
    return replace(contract, color="rgb") if contract.color == "bgr" else contract


def _render_both(contract: InputContract, seed: int) -> dict[str, NDArray[np.generic]]:
    train = render(contract, seed, part=0, count=TRAIN_IMAGES)
    test = render(contract, seed, part=1, count=TEST_IMAGES)
    return {
        "x_train": train.images,
        "y_train": train.labels,
        "x_test": test.images,
        "y_test": test.labels,
    }


class _Random:
    """Random numbers made of PCG64's 64-bit words; NumPy's own distributions may change."""

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def words(self, count: int) -> NDArray[np.uint64]:
        return np.asarray(self._bits.random_raw(count), np.uint64)

    def uniform(self, bounds: tuple[float, float], *shape: int) -> Floats:
        low, high = bounds
        unit = (self.words(int(np.prod(shape))) >> np.uint64(40)).astype(np.float32) * 2.0**-24
        return unit.reshape(shape) * (high - low) + low

    def noise(self, *shape: int) -> Floats:
        """Triangular noise of mean 0 and variance 1: the difference of two random bytes."""
        count = int(np.prod(shape))
        octets = self.words(-(-count // 4)).astype("<u8").view(np.uint8).astype(np.float32)
        return ((octets[:count] - octets[count : 2 * count]) * (1 / 104.51)).reshape(shape)

    def direction(self, count: int) -> tuple[Floats, Floats]:
        """Unit vectors; a little denser along the diagonals, which does not matter here."""
        x, y = self.uniform((-1, 1), 2, count, 1, 1)
        length = np.maximum(np.sqrt(x * x + y * y), 1e-6)
        return x / length, y / length

    def turn(self, count: int) -> tuple[Floats, Floats]:
        """Cosine and sine of an angle, by the tangent of its half."""
        half = self.uniform((-_TURN, _TURN), count, 1, 1)
        square = half * half
        return (1 - square) / (1 + square), 2 * half / (1 + square)


@dataclass(frozen=True, eq=False)
class _Grid:
    """Pixel centres from -1 to 1 along the shorter side, and the size of a pixel."""

    x: Floats
    y: Floats
    pixel: float

    @staticmethod
    def of(contract: InputContract) -> _Grid:
        pixel = 2 / min(contract.height, contract.width)
        x = (np.arange(contract.width) - (contract.width - 1) / 2) * pixel
        y = (np.arange(contract.height) - (contract.height - 1) / 2) * pixel
        return _Grid(
            x.astype(np.float32)[None, None, :], y.astype(np.float32)[None, :, None], pixel
        )

    def cover(self, distance: Floats) -> Floats:
        """Give how much of each pixel a shape covers: 0 to 1."""
        share: Floats = np.minimum(np.maximum(0.5 - distance / self.pixel, 0), 1)
        return share


def _render_chunk(
    random: _Random, shape: Shape, count: int, grid: _Grid, channels: int
) -> NDArray[np.uint8]:
    ground, front = _colors(random, count, channels)
    picture = ground + random.uniform(_SLOPE, count, 1, 1) * (grid.x + 0 * grid.y)
    for _ in range(_STROKES):
        stroke = grid.cover(_stroke(random, count, grid))
        picture = picture + stroke * (random.uniform((0, 255), channels, count, 1, 1) - picture)
    picture = picture + grid.cover(_place(random, shape, count, grid)) * (front - picture)
    noise = random.uniform(_NOISE, count, 1, 1) * random.noise(*picture.shape)
    pixels = np.rint(np.minimum(np.maximum(picture + noise, 0), 255)).astype(np.uint8)
    return pixels.transpose(1, 2, 3, 0)


def _colors(random: _Random, count: int, channels: int) -> tuple[Floats, Floats]:
    ground = random.uniform((0, 255), channels, count, 1, 1)
    step = random.uniform(_CONTRAST, channels, count, 1, 1)
    lighter = random.uniform((0, 1), channels, count, 1, 1) < 0.5
    front = np.where(lighter, ground + step, ground - step)
    # A shape that would be lighter than white is darker than its ground instead, and the reverse.
    front = np.where(front > 255, ground - step, front)
    return ground, np.where(front < 0, ground + step, front)


def _stroke(random: _Random, count: int, grid: _Grid) -> Floats:
    cosine, sine = random.direction(count)
    x, y = random.uniform((-1, 1), 2, count, 1, 1)
    x, y = grid.x - x, grid.y - y
    width = random.uniform(_STROKE_WIDTH, count, 1, 1)
    return box(cosine * x + sine * y, cosine * y - sine * x, _STROKE_LENGTH, width)


def _place(random: _Random, shape: Shape, count: int, grid: _Grid) -> Floats:
    scale = random.uniform(_SCALE, count, 1, 1)
    x, y = random.uniform((-_MOVE, _MOVE), 2, count, 1, 1) * (1 - scale)
    x, y = grid.x - x, grid.y - y
    cosine, sine = random.turn(count)
    return shape((cosine * x + sine * y) / scale, (cosine * y - sine * x) / scale) * scale
