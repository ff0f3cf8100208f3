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
from edgecnn.errors import InputError, ModelError
from edgecnn.exporting import export
from edgecnn.exporting.half import halve, judge
from edgecnn.graph import clean
from edgecnn.graph.halves import LARGEST, rounded_to_fp16, to_fp16
from edgecnn.quantization.running import open_core
from tests.conftest import TypeCommand
from tests.exporting.conftest import MakeNet
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


HEAD = '<ir_version: 8, opset_import: ["" : 18]> net (float[N,1,4,4] x) => '
SHARED = (
    "(float[N,1,8,8] y) <float[4] s = {1, 1, 2, 2}> "
    '{ t = Mul (x, s)  y = Resize <mode = "nearest"> (t, , s) }'
)


@pytest.mark.parametrize(
    "body",
    [
        "(float[N,1,4,4] y, int64[N,1,4] k) { y = Relu (x)  k = ArgMax <axis=2, keepdims=0> (y) }",
        "(bool[N,1,4,4] y) <float z = {0.3}> { y = Greater (x, z) }",
        "(float[N,1,4,4] y) { s = Shape (x)  c = ConstantOfShape <value = float[1] {2}> (s)"
        "  y = Add (x, c) }",
        "(float[N,1,4,4] y) { s = Shape (x)  c = ConstantOfShape (s)  y = Add (x, c) }",
        "(float[N,1,4,4] y) { c = Constant <value_float = 2.0> ()  y = Add (x, c) }",
        SHARED,
    ],
    ids=["integers out", "truth out", "filled", "zeros", "constant", "shared scales"],
)
def test_outputs_keep_their_types_and_every_constant_comes_along(body: str) -> None:
    core = ir.from_onnx_text(HEAD + body)
    image = np.random.default_rng(0).normal(size=(2, 1, 4, 4)).astype(np.float32)
    for half in (to_fp16(core), rounded_to_fp16(core)):
        found, expected = (
            open_core(clean.to_bytes(model)).run(None, {"x": image}) for model in (half, core)
        )
        assert [each.dtype for each in found] == [each.dtype for each in expected]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)


def test_scales_that_are_computed_are_refused() -> None:
    body = "(float[N,1,8,8] y) <float[4] a = {1, 1, 1, 1}, float[4] b = {0, 0, 1, 1}> "
    text = f'{HEAD}{body} {{ s = Add (a, b)  y = Resize <mode = "nearest"> (x, , s) }}'
    with pytest.raises(ModelError, match="computes its scales"):
        to_fp16(ir.from_onnx_text(text))


def test_every_number_between_layers_is_rounded_as_a_gpu_stores_it() -> None:
    weights = "<float[1,1,1,1] w = {60000}, float[1,1,1,1] v = {0.00001}>"
    text = f"{HEAD}(float[N,1,4,4] y) {weights} {{ c = Conv (x, w)  y = Conv (c, v) }}"
    rounded = clean.to_bytes(rounded_to_fp16(ir.from_onnx_text(text)))
    image = np.zeros((1, 1, 4, 4), np.float32)
    image[0, 0, 0] = 0.1, 1.0, 3.0, -3.0
    [found] = open_core(rounded).run(None, {"x": image})
    halved = image[0, 0, 0].astype(np.float16)
    with np.errstate(over="ignore"):
        expected = halved * np.float16(60000) * np.float16(0.00001)
    np.testing.assert_array_equal(found[0, 0, 0], expected.astype(np.float32))
    assert np.isinf(expected).tolist() == [False, False, True, True]


def test_what_overflows_on_gpus_alone_is_refused(make_net: MakeNet, pictures: Dataset) -> None:
    bundle = make_net("return self.fc(x.mean((2, 3)) * 6e4 * 6e4 / 6e4 / 6e4)")
    with pytest.raises(ModelError, match=r"reaches \S+ on the golden images, more than fp16's"):
        export(bundle, precision="fp16", data=pictures)
    assert [variant.name for variant in open_bundle(bundle.folder).manifest.variants] == ["fp32"]


@pytest.mark.parametrize("name", ["bf16", "fp8"])
def test_no_other_precision_becomes_fp32_in_silence(exported: Bundle, name: str) -> None:
    with pytest.raises(InputError, match=r"bfloat16|called 'fp8'"):
        export(exported, precision=name)  # type: ignore[arg-type]


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
