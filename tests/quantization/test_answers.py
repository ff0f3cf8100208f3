"""The last fully connected layer answers in float, with the same bits on every CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from edgecnn.graph import clean
from edgecnn.quantization.answers import answer_in_float
from edgecnn.quantization.distance import measure_distance
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.running import batches, run_core
from edgecnn.quantization.safety import as_it_runs
from tests.conftest import CONTRACT, TinyNet
from tests.emulator import needs_emulator, run_as


@pytest.fixture
def int8(core: ir.Model, tiny_net: TinyNet) -> ir.Model:
    return quantize_core(core, CONTRACT, tiny_net.images[:64])


def test_answers_are_not_rounded_to_256_steps(int8: ir.Model, tiny_net: TinyNet) -> None:
    answers = run_core(int8, CONTRACT, tiny_net.images)["logits"]
    assert len(np.unique(answers)) > 256
    assert as_it_runs(clean.to_bytes(int8)).floating == ()


def test_that_brings_them_nearer_to_fp32(core: ir.Model, int8: ir.Model, tiny_net: TinyNet) -> None:
    images = tiny_net.images
    answers = run_core(int8, CONTRACT, images)
    low, high = min(answers["logits"].min(), 0), max(answers["logits"].max(), 0)
    step = (high - low) / 255
    rounded = {"logits": (np.rint(answers["logits"] / step) * step).astype(np.float32)}
    reference = run_core(core, CONTRACT, images)
    free, held = (measure_distance(reference, each, classes=True) for each in (answers, rounded))
    assert free.sqnr_db > held.sqnr_db


def test_what_no_fully_connected_layer_gives_stays_as_it_is() -> None:
    text = """<ir_version: 8, opset_import: ["" : 18]> net (float[N,2] x) => (float[N,2] y)
    <float s = {0.1}, uint8 z = {0}> {
        q = QuantizeLinear (x, s, z)  d = DequantizeLinear (q, s, z)  r = Relu (d)
        rq = QuantizeLinear (r, s, z)  y = DequantizeLinear (rq, s, z) }"""
    before = ir.from_onnx_text(text)
    after = answer_in_float(before, before)
    assert [node.op_type for node in after.graph] == [node.op_type for node in before.graph]


@pytest.mark.slow
@needs_emulator
@pytest.mark.parametrize("cpu", ["haswell", "sandybridge", "nehalem"])
def test_emulated_cpus_give_the_same_bits(
    cpu: str, int8: ir.Model, tiny_net: TinyNet, tmp_path: Path
) -> None:
    images = tiny_net.images[:32]
    [values] = batches(CONTRACT, images, None)
    name = str(int8.graph.inputs[0].name)
    [found] = run_as(cpu, clean.to_bytes(int8), {name: values}, tmp_path)
    np.testing.assert_array_equal(found, run_core(int8, CONTRACT, images)["logits"])
