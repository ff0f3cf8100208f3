"""Ranges, against trying every one on the values themselves, and against the textbook."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from scipy.stats import entropy as kullback_leibler

from edgecnn.errors import InputError
from edgecnn.quantization.calibration import METHODS, Range, observe, take_ranges
from edgecnn.quantization.calibration.histogram import count, fold
from edgecnn.quantization.calibration.losses import divergence, squared_error
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.schemes import find_scheme
from tests.conftest import CONTRACT, TinyNet

RANDOM = np.random.default_rng(5)
NORMAL = RANDOM.normal(size=100_000)
VALUES = {
    "normal": NORMAL,
    "ReLU": np.maximum(NORMAL, 0),
    "ReLU6": np.clip(4 * NORMAL, 0, 6),
    "heavy tails": RANDOM.standard_t(3, 100_000),
    "mostly next to zero": np.where(RANDOM.random(100_000) < 0.9, 0.02, 4) * NORMAL,
    "one far outlier": np.append(NORMAL, 500),
    "lopsided": RANDOM.gamma(2, size=100_000) - 0.5,
    "below zero": -np.abs(NORMAL),
    "above zero": np.abs(NORMAL) + 1,
    "all zero": np.zeros(100),
    "constant": np.full(100, -2.0),
    "single": np.array([2.5]),
    "tiny": NORMAL[:100] * 1e-38,
    "huge": np.clip(NORMAL, -3, 3) * 1e37,
}


def range_of(values: NDArray[np.float64], method: str, *, symmetric: bool = False) -> Range:
    found = take_ranges({"x": count(values.astype(np.float32))}, method, symmetric=symmetric)
    return found["x"]


def lost(values: NDArray[np.float64], low: float, high: float, levels: int = 256) -> float:
    """Quantize and dequantize; give the mean squared error."""
    step = (high - low) / (levels - 1)
    zero_point = np.rint(-low / step)
    numbers = np.clip(np.rint(values / step + zero_point), 0, levels - 1)
    return float(np.square((numbers - zero_point) * step - values).mean())


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("method", METHODS)
def test_a_range_holds_zero_and_is_never_wider_than_what_was_seen(method: str, values: str) -> None:
    seen = VALUES[values].astype(np.float32)
    least, most = min(float(seen.min()), 0.0), max(float(seen.max()), 0.0)
    low, high = range_of(VALUES[values], method)
    assert least <= low <= 0 <= high <= most
    assert (high > low) == bool(seen.any())
    low, high = range_of(VALUES[values], method, symmetric=True)
    assert low == -high
    assert 0 <= high <= max(-least, most)


def test_minmax_takes_the_ends() -> None:
    assert range_of(np.array([-1.0, 0.5, 3.0]), "minmax") == (-1, 3)
    assert range_of(np.array([-4.0, 0.5, 3.0]), "minmax", symmetric=True) == (-4, 4)


@pytest.mark.parametrize("share", [99.9, 99.99, 99.999])
@pytest.mark.parametrize("name", ["normal", "lopsided", "heavy tails", "ReLU"])
def test_a_percentile_leaves_out_its_share(name: str, share: float) -> None:
    values = np.sort(VALUES[name])
    width = count(VALUES[name].astype(np.float32)).width
    low, high = range_of(VALUES[name], f"percentile-{share}")
    # The rank of the value at an end, from there; between neighbours any value is a percentile.
    rank = round(len(values) * (1 - share / 100) / (1 if values[0] == 0 else 2))
    assert values[-rank - 2] - width <= high <= values[-max(rank - 1, 1)] + width
    assert values[max(rank - 2, 0)] - width <= low <= values[rank + 1] + width


@pytest.mark.parametrize("name", ["normal", "ReLU", "ReLU6", "heavy tails", "lopsided"])
def test_no_other_range_has_a_smaller_squared_error(name: str) -> None:
    values = VALUES[name][:20_000]
    low, high = range_of(values, "mse")
    shares = np.geomspace(0.05, 1, 40)
    lows = shares * min(float(values.min()), 0) if values.min() < 0 else [0.0]
    best = min(lost(values, one, other) for one in lows for other in shares * float(values.max()))
    assert lost(values, low, high) <= 1.03 * best


@pytest.mark.parametrize("share", [0.2, 0.5, 1])
@pytest.mark.parametrize("name", ["normal", "ReLU", "heavy tails", "mostly next to zero"])
def test_the_loss_is_what_quantizing_loses(name: str, share: float) -> None:
    values = VALUES[name][:50_000]
    low, high = (share * min(max(end, -12.0), 12.0) for end in (values.min(), values.max()))
    loss = squared_error(count(values.astype(np.float32)), 255)
    [found] = loss(np.array([low]), np.array([high]))
    assert found / len(values) == pytest.approx(lost(values, low, high), rel=0.04)


def test_one_outlier_does_not_coarsen_all_roundings() -> None:
    low, high = range_of(VALUES["one far outlier"], "mse")
    assert lost(VALUES["one far outlier"], low, high) < lost(
        VALUES["one far outlier"], *range_of(VALUES["one far outlier"], "minmax")
    )
    bulk = VALUES["one far outlier"][:-1]
    for method in ("percentile-99.99", "entropy"):
        assert lost(bulk, *range_of(VALUES["one far outlier"], method)) < 0.01 * lost(
            bulk, *range_of(VALUES["one far outlier"], "minmax")
        )


def test_symmetric_ranges_are_searched_over_absolute_values() -> None:
    values = VALUES["lopsided"][:20_000]
    _, high = range_of(values, "mse", symmetric=True)
    shares = np.geomspace(0.05, 1, 100) * float(np.abs(values).max())
    best = min(lost(values, -one, one, 255) for one in shares)
    assert lost(values, -high, high, 255) <= 1.02 * best


@pytest.mark.parametrize("end", [256, 300, 777, 1500, 2000])
def test_divergence_is_that_of_the_textbook(end: int) -> None:
    """Cut values go to the last bin, a level's share to its filled bins."""
    seen = count(np.abs(VALUES["heavy tails"]).astype(np.float32) + 1e-6)
    assert seen.first == 0
    counts = seen.counts.astype(np.float64)
    reference = counts[:end].copy()
    reference[-1] += counts[end:].sum()
    quantized = np.zeros(end)
    borders = np.rint(np.arange(257) / 256 * end).astype(int)
    for start, stop in pairwise(borders):
        filled = reference[start:stop] > 0
        if filled.any():
            quantized[start:stop][filled] = max(counts[start:stop].sum(), 1) / filled.sum()
    expected = float(kullback_leibler(reference, quantized))
    loss = divergence(seen, 255)
    [found] = loss(np.array([0.0]), np.array([end * seen.width]))
    assert np.isfinite(expected)
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_range_with_fewer_bins_than_levels_is_no_candidate_for_entropy() -> None:
    seen = count(VALUES["ReLU"].astype(np.float32))
    loss = divergence(seen, 255)(np.zeros(2), seen.width * np.array([255.0, 256.0]))
    assert np.isfinite(loss).tolist() == [False, True]


def test_entropy_takes_the_least_divergence() -> None:
    seen = count(VALUES["ReLU"].astype(np.float32))
    _, high = range_of(VALUES["ReLU"], "entropy")
    loss = divergence(seen, 255)
    ends = seen.width * np.arange(256, len(seen.counts) + 1, dtype=np.float64)
    every = loss(np.zeros(len(ends)), ends)
    [found] = loss(np.array([0.0]), np.array([high]))
    assert found <= np.percentile(every, 5)


@pytest.mark.parametrize("method", ["entropy", "mse"])
def test_zeros_are_free(method: str) -> None:
    padded = np.concatenate([VALUES["ReLU"], np.zeros(500_000)])[: 1 << 18]
    bare = VALUES["ReLU"][VALUES["ReLU"] > 0]
    assert range_of(padded, method) == range_of(bare, method)


def test_folding_leaves_symmetric_values_their_range() -> None:
    both = np.concatenate([NORMAL[:1000], -NORMAL[:1000]]).astype(np.float32)
    assert take_ranges({"x": fold(count(both))}, "minmax")["x"][1] == np.abs(both).max()


def test_the_file_has_the_scales_of_the_method(core: ir.Model, tiny_net: TinyNet) -> None:
    images = tiny_net.images[:40]
    observed = observe(core, CONTRACT, images)
    for scheme, steps in (("u8s8-7bit", 255), ("s8s8", None)):
        plan = Plan(find_scheme(scheme), "percentile-99.9", preparations=())
        model = quantize_core(core, CONTRACT, images, plan)
        low, high = take_ranges(observed, plan.calibration, symmetric=steps is None)["rectified"]
        expected = (high - low) / (steps or 254)
        assert scale_of(model, "rectified") == pytest.approx(expected, rel=1e-5)


def scale_of(model: ir.Model, tensor: str) -> float:
    [node] = [
        node
        for node in model.graph
        if node.op_type == "QuantizeLinear" and node.inputs[0] and node.inputs[0].name == tensor
    ]
    scale = node.inputs[1]
    assert scale is not None
    assert scale.const_value is not None
    return float(scale.const_value.numpy())


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(InputError, match=r"No calibration is called 'median'.*percentile-99.99"):
        take_ranges({}, "median")
