"""One file, any instructions: int8 gives the bytes of ONNX Runtime with all of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecnn.codegen.packing import pack_s8, pairs_fit
from tests.codegen.compiled import FLAGS, compile_net, run_ort
from tests.codegen.graphs import QuantizedNet, every_layer

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="There is no C compiler: `apt-get install gcc`."
)
_CPU = Path("/proc/cpuinfo")
KINDS = {
    "plain C": ("-DEDGECNN_NO_SIMD",),
    "AVX2": ("-mavx2", "-mfma"),
    "AVX512-VNNI": ("-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni"),
    "this CPU": ("-march=native", "-O3"),
}


def _pads() -> tuple[QuantizedNet, onnx.ModelProto]:
    net = QuantizedNet((1, 5, 14, 31))
    one = net.conv(net.first, 40, kernel=3, strides=[2, 1], pads=[2, 1, 0, 2])
    two = net.conv(one, 8, kernel=1, relu=False)
    return net, net.model(net.conv(two, 24, kernel=2, dilations=[1, 3], pads=[0] * 4))


NETS: dict[str, Callable[[], tuple[QuantizedNet, onnx.ModelProto]]] = {
    "every layer": every_layer,
    "signed": lambda: every_layer(signed=True),
    "pads, strides, dilations": _pads,
}


def _skip_without(compiler: str, flags: tuple[str, ...]) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"There is no {compiler}: `apt-get install {compiler}`.")
    wanted = {flag[2:].replace("vnni", "_vnni") for flag in flags if flag.startswith("-mavx")}
    if wanted - set(_CPU.read_text().split() if _CPU.exists() else ()):
        pytest.skip(f"This CPU has not all of {', '.join(sorted(wanted))}.")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NETS)
def test_int8_is_that_of_onnx_runtime_to_the_bit(name: str, kind: str, tmp_path: Path) -> None:
    _skip_without("gcc", KINDS[kind])
    net, model = NETS[name]()
    compiled = compile_net(model, tmp_path, (*FLAGS, *KINDS[kind]), "gcc")
    for image in net.images(3):
        found = compiled.run(image)
        for output, expected in run_ort(model, {"image": image}).items():
            np.testing.assert_array_equal(found[output], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_clang_gives_the_same_bits(kind: str, tmp_path: Path) -> None:
    _skip_without("clang", KINDS[kind])
    net, model = every_layer()
    compiled = compile_net(model, tmp_path, (*FLAGS, *KINDS[kind]), "clang")
    (image,) = net.images(1)
    (expected,) = run_ort(model, {"image": image}).values()
    (found,) = compiled.run(image).values()
    np.testing.assert_array_equal(found, expected)


def test_floats_at_the_end_of_whole_sums_are_the_same_floats(tmp_path: Path) -> None:
    net = QuantizedNet((1, 6, 7, 9), signed=True)
    one = net.conv(net.first, 17, relu=False, quantized=False)
    two = net.dense(net.first, 19, 6 * 7 * 9, quantized=False)
    model = net.model(one, two)
    (image,) = net.images(1)
    found = []
    for kind in ("plain C", "this CPU"):
        folder = tmp_path / kind.replace(" ", "-")
        folder.mkdir()
        found.append(compile_net(model, folder, (*FLAGS, *KINDS[kind])).run(image))
    # ONNX Runtime computes these in floats from the start.
    for output, expected in run_ort(model, {"image": image}).items():
        np.testing.assert_array_equal(found[0][output], found[1][output])
        np.testing.assert_allclose(found[0][output], expected, rtol=1e-3, atol=1e-5)


def test_large_weights_do_not_saturate_on_avx2(tmp_path: Path) -> None:
    _skip_without("gcc", KINDS["AVX2"])
    net = QuantizedNet((1, 5, 6, 7), largest=127)
    model = net.model(net.dense(net.conv(net.first, 20), 18, 20 * 6 * 7))
    found = []
    for kind in ("plain C", "AVX2"):
        folder = tmp_path / kind.replace(" ", "-")
        folder.mkdir()
        compiled = compile_net(model, folder, (*FLAGS, *KINDS[kind]), "gcc")
        found += [compiled.run(image) for image in net.images(3)]
    fits = [layer.shape["pairs_fit"] for layer in compiled.made.program.layers if layer.macs]
    assert fits == [0, 0]
    for plain, vectors in zip(found[:3], found[3:], strict=True):
        for output, expected in plain.items():
            np.testing.assert_array_equal(vectors[output], expected)


@pytest.mark.parametrize(
    ("pair", "fit"),
    [
        ((64, 64), True),
        ((65, 64), False),
        ((-64, -64), True),
        ((-65, -64), False),
        ((127, -127), True),
    ],
)
def test_pairs_fit_as_long_as_255_times_both_is_a_number_of_16_bits(
    pair: tuple[int, int], fit: bool
) -> None:
    weights = np.zeros((3, 1, 1, 6), np.int8)
    weights[1, 0, 0, 2:4] = pair
    assert pairs_fit(pack_s8(weights)) == fit
