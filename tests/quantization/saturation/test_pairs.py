"""The saturating instruction, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.quantization.saturation.pairs import add_pairs, multiply


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([255, 255], [64, 64], 32_640),  # 16,320 + 16,320
        ([255, 255], [127, 127], 32_767),  # 64,770 is too much
        ([255, 255], [-128, -128], -32_768),  # -65,280 is too little
        ([255, 128], [127, 3], 32_767),  # 32,385 + 384 = 32,769, two too many
        ([255, 127], [127, 3], 32_766),  # 32,385 + 381 fits by one
        ([255, 1], [-128, -128], -32_768),  # -32,640 - 128 fits exactly
        ([255, 2], [-128, -128], -32_768),  # -32,896
        ([200, 200], [127, -127], 0),
        ([255, 0, 0, 255], [127, 127, 127, 127], [32_385, 32_385]),  # only neighbours meet
    ],
)
def test_two_neighbouring_products_are_added_in_16_bits(
    left: list[int], right: list[int], expected: int | list[int]
) -> None:
    found = add_pairs(np.array(left, np.uint8), np.array(right, np.int8))
    assert found.dtype == np.int16
    assert found.tolist() == np.atleast_1d(expected).tolist()


def test_a_product_by_hand() -> None:
    left = np.array([[255, 255, 10, 20, 7], [1, 2, 255, 255, 7]], np.uint8)
    right = np.array([[127, 1], [127, 2], [-128, 3], [-128, 4], [5, -6]], np.int8)
    found = multiply(left, right)
    # First row, first column: 32,385 + 32,385 | -1,280 - 2,560 | 35 and a zero.
    assert found.exact.tolist() == [[60_965, 833], [-64_864, 1_748]]
    assert found.saturated.tolist() == [[32_767 - 3_840 + 35, 833], [381 - 32_768 + 35, 1_748]]
    # Three pairs for each of four sums; 65,280 is the largest, of the second row.
    assert (found.pairs, found.saturating, found.largest) == (12, 2, 65_280)


@pytest.mark.parametrize("inner", [1, 2, 7, 64, 600, 1_025])
@pytest.mark.parametrize("largest", [127, 64, 20])
def test_leaving_pairs_out_changes_nothing(inner: int, largest: int) -> None:
    random = np.random.default_rng(inner)
    left = random.integers(0, 256, (13, inner)).astype(np.uint8)
    right = random.integers(-largest, largest + 1, (inner, 9)).astype(np.int8)
    found = multiply(left, right)

    odd = inner % 2
    rows = np.pad(left, [(0, 0), (0, odd)])[:, None, :]
    columns = np.pad(right, [(0, odd), (0, 0)]).T[None]
    products = rows.astype(np.int64) * columns
    sums = products[..., 0::2] + products[..., 1::2]
    saturated = add_pairs(np.broadcast_to(rows, products.shape), columns)
    assert (found.exact == products.sum(axis=-1)).all()
    assert (found.saturated == saturated.sum(axis=-1, dtype=np.int64)).all()
    assert found.saturating == (sums != saturated).sum()
    assert found.largest == np.abs(sums).max()
    assert found.pairs == sums.size
