"""The quantized core: what it is made of, and on what it was calibrated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from edgecnn.errors import ModelError
from edgecnn.graph import clean
from edgecnn.predictor import normalise
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.safety import as_it_runs, largest_pair_sums
from edgecnn.records import sha256, to_json
from tests.conftest import CONTRACT, TinyNet


def constants(model: ir.Model) -> dict[str, Any]:
    return {
        name: value.const_value.numpy()
        for name, value in model.graph.initializers.items()
        if value.const_value is not None
    }


def quantized(core: ir.Model, net: TinyNet, count: int = 64) -> ir.Model:
    return quantize_core(core, CONTRACT, net.images[:count])


def test_weights_are_signed_in_7_bits_or_more_per_channel_and_activations_unsigned(
    core: ir.Model, tiny_net: TinyNet
) -> None:
    found = constants(quantized(core, tiny_net))
    weights = {
        name: array for name, array in found.items() if array.dtype == np.int8 and array.ndim > 1
    }
    assert sorted(array.shape for array in weights.values()) == [(4, 6), (6, 3, 3, 3)]
    for name, array in weights.items():
        assert (np.abs(array.astype(int)).reshape(len(array), -1).max(axis=1) >= 63).all()
        scales = found[name.replace("_quantized", "_scale")]
        assert scales.shape == array.shape[:1]
        assert len(set(scales.tolist())) > 1
        assert not found[name.replace("_quantized", "_zero_point")].any()
    for node in quantized(core, tiny_net).graph:
        if node.op_type == "QuantizeLinear":
            zero_point = node.inputs[2]
            assert zero_point is not None
            assert found[str(zero_point.name)].dtype == np.uint8


def test_the_range_is_that_of_the_calibration_images(core: ir.Model, tiny_net: TinyNet) -> None:
    images = tiny_net.images[:40]
    found = constants(quantize_core(core, CONTRACT, images))
    values = normalise(CONTRACT, images)
    low, high = float(values.min()), float(values.max())
    scale, zero = float(found["image_scale"]), int(found["image_zero_point"])
    assert scale == pytest.approx((high - low) / 255, rel=1e-5)
    assert abs(zero + low / scale) < 0.51


def test_float_is_left_only_at_the_two_ends(core: ir.Model, tiny_net: TinyNet) -> None:
    model = quantized(core, tiny_net)
    assert as_it_runs(clean.to_bytes(model)).floating == ()
    sums = largest_pair_sums(model)
    assert len(sums) == 2
    assert all(0 < value <= 32_640 for value in sums.values())


@pytest.mark.parametrize("count", [1, 31, 33, 64])
def test_any_number_of_images_calibrates(core: ir.Model, tiny_net: TinyNet, count: int) -> None:
    assert len(quantized(core, tiny_net, count).graph) > len(core.graph)


def test_a_static_batch_is_calibrated_whole(tiny_net: TinyNet) -> None:
    static = clean.from_bytes(tiny_net.onnx(preprocessing=False, batch=3), where="the tiny net")
    dynamic = clean.from_bytes(tiny_net.onnx(preprocessing=False), where="the tiny net")
    ranges = [
        constants(quantize_core(m, CONTRACT, tiny_net.images[:40])) for m in (static, dynamic)
    ]
    assert ranges[0].keys() == ranges[1].keys()
    for name in ranges[0]:
        np.testing.assert_allclose(ranges[0][name], ranges[1][name], rtol=1e-5, atol=1)


def test_a_dead_channel_is_quantized_to_nothing(core: ir.Model, tiny_net: TinyNet) -> None:
    filters = tiny_net.filters.copy()
    filters[2] = 0
    core.graph.initializers["w"].const_value = ir.tensor(filters, name="w")
    found = constants(quantized(core, tiny_net))
    assert not found["w_quantized"][2].any()
    assert np.isfinite(found["w_scale"]).all()
    assert (found["w_scale"] > 0).all()


CHILD = """
import logging, sys
from pathlib import Path
import numpy as np
from edgecnn.graph import clean
from edgecnn.quantization.making import quantize_core
from edgecnn.runtime import check_available
from edgecnn.records import from_json, sha256
from edgecnn.spec import InputContract
check_available("ort", "cpu")
core = clean.from_bytes(Path(sys.argv[1]).read_bytes(), where="the core")
contract = from_json(InputContract, Path(sys.argv[2]).read_bytes(), where="the contract")
model = quantize_core(core, contract, np.load(sys.argv[3]))
print(sha256(clean.to_bytes(model)), logging.root.handlers)
"""


def test_another_process_gives_the_same_bytes_and_says_nothing(
    core: ir.Model, tiny_net: TinyNet, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("core.onnx", "contract.json", "images.npy")]
    files[0].write_bytes(clean.to_bytes(core))
    files[1].write_bytes(to_json(CONTRACT))
    np.save(files[2], tiny_net.images[:64])
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD, *map(str, files)],
        capture_output=True,
        text=True,
    )
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout.split() == [sha256(clean.to_bytes(quantized(core, tiny_net))), "[]"]


def test_what_the_quantizer_cannot_take_is_one_sentence(tiny_net: TinyNet) -> None:
    text = (
        '<ir_version: 8, opset_import: ["" : 18, "somebody" : 1]> '
        "net (float[N,3,8,8] image) => (float[N,3,8,8] y) { y = somebody.Thing(image) }"
    )
    with pytest.raises(ModelError, match="not a registered function") as caught:
        quantize_core(ir.from_onnx_text(text), CONTRACT, tiny_net.images[:4])
    assert "\n" not in caught.value.problem
