"""Each measure of agreement against a sum worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgecnn.agreement import compare, derived_atol, excess, image_errors
from edgecnn.errors import InputError

EXPECTED = np.array([[3.0, 4.0], [0.0, 12.0]])
OUTPUTS = np.array([[3.0, 2.0], [0.0, 13.0]], np.float32)


def test_compare_by_hand() -> None:
    found = compare(OUTPUTS, EXPECTED)
    assert (found.images, found.max_abs, found.mean_abs) == (2, 2.0, 0.75)
    # Signal 9 + 16 + 144, noise 4 + 1; outputs squared 9 + 4 + 169; their product 9 + 8 + 156.
    assert found.sqnr_db == pytest.approx(10 * math.log10(169 / 5))
    assert found.cosine == pytest.approx(173 / math.sqrt(169 * 182))
    assert found.top1 == 0.5  # 3 > 2 in the first image, where 4 > 3 was expected
    assert found.not_finite == 0


def test_equal_outputs() -> None:
    found = compare(EXPECTED, EXPECTED)
    assert (found.max_abs, found.sqnr_db, found.top1) == (0.0, math.inf, 1.0)
    assert found.cosine == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_is_never_agreement(value: float) -> None:
    outputs = EXPECTED.copy()
    outputs[1, 0] = value
    found = compare(outputs, EXPECTED)
    assert found.not_finite == 1
    assert not found.max_abs <= 1e9
    assert not found.sqnr_db >= -1e9
    assert not found.cosine >= -2
    assert image_errors(outputs, EXPECTED).tolist() == [0.0, np.inf]
    assert excess(outputs, EXPECTED, atol=1, rtol=1) == np.inf
    assert excess(outputs, outputs, atol=1, rtol=1) == np.inf


def test_decisions_need_classes() -> None:
    assert compare(EXPECTED, EXPECTED, decisions=False).top1 is None
    assert compare(EXPECTED[:, :1], EXPECTED[:, :1]).top1 is None
    assert compare(EXPECTED[:, :, None], EXPECTED[:, :, None]).top1 is None


def test_excess_counts_atol_and_rtol() -> None:
    # Errors 2 at 4 and 1 at 12.
    assert excess(OUTPUTS, EXPECTED, atol=2, rtol=0) == 1
    assert excess(OUTPUTS, EXPECTED, atol=0, rtol=0.25) == 2
    assert excess(OUTPUTS, EXPECTED, atol=1, rtol=0.25) == 1
    assert excess(OUTPUTS, EXPECTED, atol=0, rtol=0) == np.inf
    assert excess(EXPECTED, EXPECTED, atol=0, rtol=0) == 0


def test_image_errors() -> None:
    assert image_errors(OUTPUTS, EXPECTED).tolist() == [2.0, 1.0]


def test_derived_atol() -> None:
    assert derived_atol(OUTPUTS, EXPECTED) == 32
    exact = EXPECTED.astype(np.float32)
    assert derived_atol(exact, EXPECTED) == 16 * 12 * np.finfo(np.float32).eps


def test_shapes_must_match() -> None:
    with pytest.raises(InputError, match=r"\[2, 2\] and \[2, 1\]"):
        compare(OUTPUTS, EXPECTED[:, :1])
    with pytest.raises(InputError, match="no outputs"):
        compare(OUTPUTS[:0], EXPECTED[:0])
