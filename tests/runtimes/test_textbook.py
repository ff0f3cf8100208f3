"""Every runtime against the textbook's sums, on random shapes, strides and paddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.runtime import Options
from tests import textbook
from tests.runtimes import graphs
from tests.runtimes.conftest import Place

quickly = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
rims = st.tuples(st.integers(0, 2), st.integers(0, 2))
seeds = st.integers(0, 2**32 - 1)
Answer = Callable[..., NDArray[Any]]


@pytest.fixture(params=["fp32", "float64"])
def answer(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Answer:
    """Give a function that runs one operator; the reference also does so in double."""
    place.needs("batch")
    if not place.reads_onnx:
        pytest.skip("a graph whose every size is open is not converted")
    options: Options = {}
    if place.runtime == "reference":
        options = {"precision": request.param}
    elif request.param == "float64":
        pytest.skip("only the reference computes in double on request")

    def run(operator: str, arrays: graphs.Arrays, **attributes: Any) -> NDArray[Any]:
        single = {name: value.astype(np.float32) for name, value in arrays.items()}
        content = graphs.single(operator, single, **attributes)
        variant = graphs.save(content, tmp_path / "operator.onnx")
        with place.open(variant, options=options) as session:
            return session.run({"x": single["x"]})["y"]

    return run


@quickly
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(5, 9), st.integers(5, 9)),
    kernel=pairs,
    stride=pairs,
    pads=rims,
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.integers(1, 3),
    depths=pairs,
    seed=seeds,
)
def test_convolution(
    answer: Answer,
    shape: tuple[int, int, int],
    kernel: textbook.Pair,
    stride: textbook.Pair,
    pads: textbook.Pair,
    dilation: textbook.Pair,
    groups: int,
    depths: textbook.Pair,
    seed: int,
) -> None:
    depth, filters = depths
    x = _random((shape[0], depth * groups, *shape[1:]), seed)
    w = _random((filters * groups, depth, *kernel), seed + 1)
    b = _random((filters * groups,), seed + 2)
    found = answer(
        "Conv",
        {"x": x, "w": w, "b": b},
        strides=stride,
        pads=pads * 2,
        dilations=dilation,
        group=groups,
    )
    _assert_close(found, textbook.convolution(x, w, b, stride, pads, dilation, groups))


@st.composite
def windows(draw: st.DrawFn) -> tuple[textbook.Pair, textbook.Pair, textbook.Pair]:
    """Draw a kernel, a stride and a rim that is narrower than the kernel, as ONNX wants it."""
    kernel, stride = draw(pairs), draw(pairs)
    return (
        kernel,
        stride,
        (draw(st.integers(0, kernel[0] - 1)), draw(st.integers(0, kernel[1] - 1))),
    )


shapes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(3, 8), st.integers(3, 8))


@quickly
@given(shape=shapes, window=windows(), seed=seeds)
@example(shape=(1, 1, 3, 3), window=((1, 2), (1, 1), (0, 1)), seed=0)  # onnx 1.23 errs
def test_max_pool(answer: Answer, shape: tuple[int, ...], window: Any, seed: int) -> None:
    x, (kernel, stride, pads) = _random(shape, seed), window
    found = answer("MaxPool", {"x": x}, kernel_shape=kernel, strides=stride, pads=pads * 2)
    _assert_close(found, textbook.max_pool(x, kernel, stride, pads))


@quickly
@given(shape=shapes, window=windows(), with_rim=st.booleans(), seed=seeds)
def test_average_pool(
    answer: Answer, shape: tuple[int, ...], window: Any, with_rim: bool, seed: int
) -> None:
    x, (kernel, stride, pads) = _random(shape, seed), window
    found = answer(
        "AveragePool",
        {"x": x},
        kernel_shape=kernel,
        strides=stride,
        pads=pads * 2,
        count_include_pad=int(with_rim),
    )
    _assert_close(found, textbook.average_pool(x, kernel, stride, pads, with_rim=with_rim))


@quickly
@given(shape=shapes, seed=seeds)
def test_global_average_pool(answer: Answer, shape: tuple[int, ...], seed: int) -> None:
    x = _random(shape, seed)
    whole = (shape[2], shape[3])
    expected = textbook.average_pool(x, whole, (1, 1), (0, 0), with_rim=True)
    _assert_close(answer("GlobalAveragePool", {"x": x}), expected)


@quickly
@given(n=st.integers(1, 4), k=st.integers(1, 17), m=st.integers(1, 9), seed=seeds)
def test_fully_connected(answer: Answer, n: int, k: int, m: int, seed: int) -> None:
    x, w, b = _random((n, k), seed), _random((m, k), seed + 1), _random((m,), seed + 2)
    found = answer("Gemm", {"x": x, "w": w, "b": b}, transB=1)
    _assert_close(found, textbook.fully_connected(x, w, b))


def _random(shape: tuple[int, ...], seed: int) -> textbook.Array:
    # Multiples of 1/256 have no rounding in float32, so that both sides get the same numbers.
    values = np.random.default_rng(seed).integers(-512, 512, shape) / 256
    return values.astype(np.float64)


def _assert_close(found: NDArray[Any], expected: textbook.Array) -> None:
    allowed = 1e-12 if found.dtype == np.float64 else 1e-5
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= allowed * max(1, np.abs(expected).max())
