"""`edgecnn export --precision fp16`: what is written, how it is judged, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from edgecnn.agreement import parity
from edgecnn.benchmark import LatencyComparison
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.data import Dataset
from edgecnn.errors import ModelError
from edgecnn.exporting.half import halve, judge
from edgecnn.graph import clean
from edgecnn.graph.halves import LARGEST, to_fp16
from edgecnn.quantization.running import open_core
from tests.conftest import TypeCommand
from tests.quantization.conftest import contents

SCALED = """
<ir_version: 8, opset_import: ["" : 18]> net (float[N,1,4,4] x) => (float[N,1,8,8] y)
<float[1,1,1,1] w = {{{weight}}}, float[4] scales = {{1, 1, 2, 2}}> {{
    c = Conv (x, w)  y = Resize <mode = "nearest"> (c, , scales)
}}
"""
LATENCY = LatencyComparison(
    "fp32", "fp16", 1e-4, 1.2e-4, 1.2, 1.15, 1.25, 0.02, "slower", "", blocks=8, replicates=3
)


def test_fp16_is_written_measured_and_held_to_its_tolerance(
    exported: Bundle, pictures: Dataset
) -> None:
    report = halve(exported, "fp32", data=pictures, threads=1, duration=0.05)
    after = open_bundle(exported.folder)
    variant = after.variant("fp16")
    assert (variant.precision, variant.parent) == ("fp16", after.parent("fp32.onnx"))
    assert all(found.sqnr_db > 50 for found in report.agreement.values())
    assert report.paired is not None
    assert report.paired.same > 0.9
    assert report.fp16.size < report.fp32.size
    assert parity(after, ["fp16"]).verdict.outcome == "pass"
    model = clean.from_bytes(after.read("fp16.onnx"), where="fp16")
    constants = [value.dtype for value in model.graph.initializers.values()]
    assert ir.DataType.FLOAT16 in constants
    assert [output.dtype for output in model.graph.outputs] == [ir.DataType.FLOAT]


def test_it_computes_in_half_precision_and_keeps_what_must_be_float() -> None:
    core = ir.from_onnx_text(SCALED.format(weight="0.1"))
    half = to_fp16(core)
    image = np.random.default_rng(0).normal(size=(2, 1, 4, 4)).astype(np.float32)
    found, expected = (
        open_core(clean.to_bytes(model)).run(None, {"x": image})[0] for model in (half, core)
    )
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < 1e-3


def test_a_weight_beyond_its_range_is_refused_by_name() -> None:
    to_fp16(ir.from_onnx_text(SCALED.format(weight=f"{LARGEST:.0f}")))
    with pytest.raises(ModelError, match=r"'w' reaches 6.56e\+04"):
        to_fp16(ir.from_onnx_text(SCALED.format(weight="65600")))


@pytest.mark.parametrize(
    ("outcome", "verdict", "says"),
    [
        ("slower", "fail", "Keep fp32 on CPUs"),
        ("no difference", "pass", "only smaller"),
        ("faster", "pass", "1.20 times"),
        ("inconclusive", "inconclusive", "Too little"),
    ],
)
def test_the_verdict_is_of_speed_on_this_cpu(outcome: str, verdict: str, says: str) -> None:
    found = judge(replace(LATENCY, outcome=outcome))  # type: ignore[arg-type]
    assert found.outcome == verdict
    assert says in found.reasons[0]


def test_bfloat16_is_refused_with_what_runs_it(exported: Bundle, type_command: TypeCommand) -> None:
    before = contents(exported.folder)
    done = type_command("export", exported.folder, "--precision", "bf16")
    assert done.code == 2
    assert "OpenVINO" in done.err
    assert contents(exported.folder) == before


def test_what_is_about_int8_is_refused(exported: Bundle, type_command: TypeCommand) -> None:
    done = type_command("export", exported.folder, "--precision", "fp16", "--max-drop", "1pp")
    assert done.code == 2
    assert "--max-drop is about int8" in done.err
