"""What stays in float by rule, and gates that rounding itself computes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from edgecnn.graph import clean
from edgecnn.graph.clean import to_bytes
from edgecnn.quantization.distance import measure_distance
from edgecnn.quantization.hard_sigmoids import round_as_hard_sigmoids
from edgecnn.quantization.making import make_int8, observe_subject
from edgecnn.quantization.placing import base_plan
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.running import run_core
from edgecnn.quantization.safety import as_it_runs
from edgecnn.quantization.schemes import find_scheme
from edgecnn.quantization.sensitivity.tensors import find_quantized
from edgecnn.quantization.tensors import measure_tensors
from tests.quantization.test_operators import BACK, CONTRACT, CONV, IMAGES, MEANS, build

U8S8, S8S8 = find_scheme("u8s8-7bit"), find_scheme("s8s8")
NET = """
<ir_version: 8, opset_import: ["" : 18]>
net (float[N,3,8,8] image) => (float[N,5] out) {{ {body} }}
"""
SWISH = f"{CONV}  a = HardSwish(m)  {BACK}"
SQUEEZE = f"{CONV}  {MEANS}  e = Conv<kernel_shape=[1,1]>(g, p)  h = HardSigmoid(e)  a = Mul(m, h)"


def ended(end: str) -> ir.Model:
    """Give a net with a fully connected layer, and something behind it."""
    body = f"{CONV}  {MEANS}  f = Flatten(g)  l = Gemm(f, five)  {end}"
    text = NET.replace("out)", "out, float[N,5] more)") if "more" in end else NET
    proto = onnx.parser.parse_model(text.format(body=body))
    random = np.random.default_rng(2)
    for name, shape in {"w": (4, 3, 3, 3), "b": (4,), "five": (4, 5)}.items():
        array = random.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    for name, number in {"low": -1, "high": 2}.items():
        array = np.array(number, np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    return clean.from_bytes(proto.SerializeToString(), where="the net")


def operators(model: ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.graph)


@pytest.mark.parametrize(
    ("end", "names"),
    [
        ("out = Softmax<axis=1>(l)", ["Softmax"]),
        ("out = Sigmoid(l)", ["Sigmoid"]),
        ("s = Softmax<axis=1>(l)  out = Flatten(s)", ["Softmax"]),
        ("s = Sigmoid(l)  out = Mul(s, l)", []),
        ("s = Sigmoid(l)  out = Identity(s)  more = Mul(s, l)", []),
        ("more = Identity(l)  out = Softmax<axis=1>(more)", ["Softmax"]),
        ("out = Relu(l)", []),
    ],
)
def test_what_makes_shares_of_answers_stays_in_float(end: str, names: list[str]) -> None:
    core = ended(end)
    plan = base_plan(core, U8S8)
    subject = observe_subject(core, CONTRACT, IMAGES, plan)
    kinds = {str(node.name): node.op_type for node in subject.core.graph}
    assert [kinds[name] for name in plan.in_float] == names
    int8 = make_int8(subject, plan)
    exact, found = (run_core(each, CONTRACT, IMAGES) for each in (core, int8))
    assert measure_distance(exact, found, classes=False).sqnr_db > 20


@pytest.mark.parametrize("end", ["out = Relu(l)", "out = Clip(l, low, high)"])
def test_a_relu_or_clip_at_the_end_is_not_lost(end: str) -> None:
    core = ended(end)
    int8 = make_int8(observe_subject(core, CONTRACT, IMAGES, Plan()), Plan())
    exact, found = (run_core(each, CONTRACT, IMAGES) for each in (core, int8))
    assert measure_distance(exact, found, classes=False).sqnr_db > 20
    assert found["out"].min() >= exact["out"].min()


def test_shares_are_made_of_answers_that_were_not_rounded() -> None:
    core = ended("out = Softmax<axis=1>(l)")
    plan = base_plan(core, U8S8)
    subject = observe_subject(core, CONTRACT, IMAGES, plan)
    int8 = make_int8(subject, plan)
    [softmax] = [node for node in int8.graph if node.op_type == "Softmax"]
    assert softmax.inputs[0] is not None
    maker = softmax.inputs[0].producer()
    assert maker is not None
    assert maker.op_type == "Gemm"
    losses = {each.tensor: each.rounded for each in measure_tensors(subject, int8, IMAGES)}
    assert losses["l"] is losses["out"] is False
    [shares] = run_core(int8, CONTRACT, IMAGES).values()
    assert shares.min() > 0
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("body", [SWISH, f"{SQUEEZE}  {BACK}"])
def test_gates_run_in_integers_and_are_as_exact(body: str) -> None:
    core = build(body)
    reference, far = run_core(core, CONTRACT, IMAGES), {}
    for name, plan in (("in float", Plan()), ("rounded", base_plan(core, U8S8))):
        int8 = make_int8(observe_subject(core, CONTRACT, IMAGES, plan), plan)
        found = run_core(int8, CONTRACT, IMAGES)
        far[name] = measure_distance(reference, found, classes=False).sqnr_db
        floating = as_it_runs(to_bytes(int8)).floating
        assert ("HardSigmoid" in floating) == (name == "in float")
    assert far["rounded"] > far["in float"] - 0.5


def test_a_gate_is_the_hard_sigmoid_of_what_it_is_given() -> None:
    core = build(f"{SQUEEZE}  {BACK}")
    plan = base_plan(core, U8S8)
    subject = observe_subject(core, CONTRACT, IMAGES, plan)
    int8 = make_int8(subject, plan)
    losses = {each.tensor: each for each in measure_tensors(subject, int8, IMAGES)}
    assert losses["h"].rounded
    assert losses["h"].sqnr_db > 30
    # What the gate is made of is never there as such.
    assert "e" not in losses
    assert "h" not in {each.tensor for each in find_quantized(subject.core, int8)}


def test_a_gate_with_slope_and_offset_of_its_own() -> None:
    body = f"{CONV}  h = HardSigmoid<alpha=0.05, beta=0.3>(m)  a = Mul(m, h)  {BACK}"
    core = build(body)
    plan = base_plan(core, U8S8)
    int8 = make_int8(observe_subject(core, CONTRACT, IMAGES, plan), plan)
    assert "HardSigmoid" not in operators(int8)
    exact, found = (run_core(each, CONTRACT, IMAGES) for each in (core, int8))
    assert measure_distance(exact, found, classes=False).sqnr_db > 25


@pytest.mark.parametrize(
    "line", ["alpha=-0.2, beta=0.5", "alpha=0.2, beta=1.5", "alpha=0.2, beta=-0.5"]
)
def test_what_no_zero_point_can_be_stays_an_operator(line: str) -> None:
    core = build(f"{CONV}  h = HardSigmoid<{line}>(m)  a = Mul(m, h)  {BACK}")
    plan = base_plan(core, U8S8)
    int8 = make_int8(observe_subject(core, CONTRACT, IMAGES, plan), plan)
    assert operators(int8)["HardSigmoid"] == 1


def test_signed_activations_have_no_such_gates() -> None:
    core = build(SWISH)
    plan = base_plan(core, S8S8)
    assert "gates" not in plan.preparations
    int8 = make_int8(observe_subject(core, CONTRACT, IMAGES, plan), plan)
    assert operators(int8)["HardSwish"] == 1
    assert round_as_hard_sigmoids(int8) is not int8


def test_a_gate_beside_a_layer_in_float_stays_an_operator() -> None:
    core = build(f"{SQUEEZE}  {BACK}")
    plan = base_plan(core, U8S8)
    subject = observe_subject(core, CONTRACT, IMAGES, plan)
    names = tuple(str(node.name) for node in subject.core.graph)
    alone = make_int8(subject, Plan(preparations=plan.preparations, in_float=names))
    assert operators(alone)["HardSigmoid"] == 1
    exact, found = (run_core(each, CONTRACT, IMAGES) for each in (core, alone))
    assert measure_distance(exact, found, classes=False).sqnr_db > 100


def test_the_file_is_one_that_others_read() -> None:
    core = build(SWISH)
    plan = base_plan(core, U8S8)
    int8 = make_int8(observe_subject(core, CONTRACT, IMAGES, plan), plan)
    onnx.checker.check_model(to_bytes(int8), full_check=True)
