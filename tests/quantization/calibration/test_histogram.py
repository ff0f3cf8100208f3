"""The streaming histogram, against counting everything at once."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.quantization.calibration.histogram import Histogram, count, fold, merge

RANDOM = np.random.default_rng(3)
NORMAL = RANDOM.normal(size=6000)
LATE = np.where(np.arange(6000) == 5990, 4000.0, NORMAL)
STREAMS = {
    "normal": NORMAL,
    "ReLU": np.maximum(NORMAL, 0),
    "below zero": -np.abs(NORMAL),
    "zeros, then values": np.where(np.arange(6000) < 2000, 0, NORMAL),
    "values, then zeros": np.where(np.arange(6000) > 2000, 0, NORMAL),
    "all zero": np.zeros(6000),
    "constant": np.full(6000, 2.5),
    "an outlier that comes late": LATE,
    "far from zero": NORMAL + 1000,
    "huge": np.clip(NORMAL, -3, 3) * 1e38,
    "tiny": NORMAL * 1e-38,
    "tiny, then huge": NORMAL * np.where(np.arange(6000) < 3000, 1e-20, 1e15),
}


def stream(values: NDArray[np.float64]) -> list[NDArray[np.float32]]:
    return np.array_split(values.astype(np.float32), 7)


def exact(values: NDArray[np.float32], found: Histogram) -> NDArray[np.int64]:
    places = np.floor(values.astype(np.float64) / found.width).astype(np.int64) - found.first
    return np.bincount(places, minlength=len(found.counts))


@pytest.mark.parametrize("name", STREAMS)
def test_pieces_add_up_to_the_whole(name: str) -> None:
    pieces = stream(STREAMS[name])
    values = np.concatenate(pieces)
    found = reduce(merge, (count(piece) for piece in pieces))
    assert (found.low, found.high) == (float(values.min()), float(values.max()))
    assert found.counts.tolist() == exact(values, found).tolist()
    assert found.zeros == int((values == 0).sum())
    assert np.log2(found.width).is_integer()
    assert len(found.counts) <= 4100


def test_the_order_does_not_matter() -> None:
    histograms = [count(piece) for piece in stream(LATE)]
    one, other = reduce(merge, histograms), reduce(merge, histograms[::-1])
    assert (one.low, one.high, one.width, one.first) == (
        other.low,
        other.high,
        other.width,
        other.first,
    )
    assert one.counts.tolist() == other.counts.tolist()


def test_a_quarter_of_the_range_has_many_bins() -> None:
    found = count(NORMAL.astype(np.float32))
    assert (found.high - found.low) / found.width > 2000


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_large_maps_are_sampled_across_their_columns(share: float) -> None:
    # Every fourth column of these maps, or every second, is not zero.
    maps = np.zeros((8, 16, 128, 128), np.float32)
    maps[..., :: round(1 / share)] = RANDOM.uniform(1, 2, maps[..., :: round(1 / share)].shape)
    maps[3, 2, 1, 1] = 77.0
    found = count(maps)
    assert found.high == 77.0
    assert found.counts.sum() == pytest.approx(maps.size, rel=0.001)
    assert found.zeros == pytest.approx((1 - share) * maps.size, rel=0.01)


def test_folding_counts_absolute_values() -> None:
    # In the middle of bins: what lies on an edge goes to the bin above it, folded or not.
    width = count(NORMAL.astype(np.float32)).width
    values = ((np.floor(NORMAL / width) + 0.5) * width).astype(np.float32)
    folded, direct = fold(count(values)), count(np.abs(values))
    assert (folded.low, folded.high) == (0, direct.high)
    assert folded.counts.sum() == len(values)
    assert folded.counts.tolist() == exact(np.abs(values), folded).tolist()
