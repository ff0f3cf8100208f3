"""Corrections of a quantized core: biases that take in mean errors, weights rounded for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph import clean
from edgecnn.quantization.correcting import CORRECTIONS
from edgecnn.quantization.corrections.bias import channel_means
from edgecnn.quantization.corrections.gptq import Limits, round_rows
from edgecnn.quantization.corrections.layers import find_layers
from edgecnn.quantization.corrections.tapping import enough
from edgecnn.quantization.corrections.windows import read_windows, to_rows, windows_of
from edgecnn.quantization.distance import measure_distance
from edgecnn.quantization.making import Subject, make_int8, observe_subject
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.running import run_core
from edgecnn.quantization.safety import LARGEST_INT16, as_it_runs, largest_pair_sums
from edgecnn.quantization.schemes import SCHEMES
from edgecnn.spec import InputContract

CONTRACT = InputContract(12, 12, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))


def build(batch: int | str = "N") -> ir.Model:
    """Make a net with a plain, a depthwise, a dilated and a strided convolution, and a Gemm."""
    random = np.random.default_rng(5)
    shapes = {"w1": (8, 3, 3, 3), "w2": (8, 1, 3, 3), "w3": (12, 4, 3, 3), "w4": (12, 10)}
    tensors = {name: random.normal(0, 0.3, shape) for name, shape in shapes.items()}
    tensors |= {f"b{n}": random.normal(0, 0.2, size) for n, size in ((1, 8), (2, 8), (3, 12))}
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node(
            "Conv",
            ["r1", "w2", "b2"],
            ["c2"],
            "second",
            group=8,
            dilations=[2, 2],
            pads=[2, 2, 2, 2],
        ),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("Conv", ["r2", "w3", "b3"], ["c3"], "third", group=2, strides=[2, 2]),
        helper.make_node("Relu", ["c3"], ["r3"], "relu3"),
        helper.make_node("AveragePool", ["r3"], ["p"], "pool", kernel_shape=[5, 5]),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w4"], ["logits"], "last"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 12, 12])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 10])],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in tensors.items()],
    )
    opset = helper.make_opsetid("", 18)
    content = helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()
    return clean.clean(clean.from_bytes(content, where="the net"))


def pictures(count: int, seed: int) -> NDArray[np.uint8]:
    """Give smooth pictures, whose neighbouring pixels are alike as in photographs."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, 5, 5, 3))
    fine = np.repeat(np.repeat(coarse, 3, axis=1), 3, axis=2)[:, :12, :12]
    noisy = fine + random.normal(0, 8, fine.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


CALIBRATION, FRESH = pictures(48, 1), pictures(96, 2)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return observe_subject(build(), CONTRACT, CALIBRATION, Plan())


def made(subject: Subject, *corrections: str, scheme: str = "u8s8-7bit") -> ir.Model:
    return make_int8(subject, Plan(SCHEMES[scheme], corrections=corrections))


def decibels(subject: Subject, model: ir.Model) -> float:
    """Give the SQNR of a model's answers to images that nothing was fitted to."""
    reference = run_core(subject.core, CONTRACT, FRESH)
    return measure_distance(reference, run_core(model, CONTRACT, FRESH), classes=True).sqnr_db


def constants(model: ir.Model) -> dict[str, NDArray[Any]]:
    found = model.graph.initializers.items()
    return {name: value.const_value.numpy() for name, value in found if value.const_value}


def changed(before: ir.Model, after: ir.Model) -> set[str]:
    """Name the constants that differ; their names, types and shapes must not."""
    one, other = constants(before), constants(after)
    assert {k: (v.dtype, v.shape) for k, v in one.items()} == {
        k: (v.dtype, v.shape) for k, v in other.items()
    }
    return {name for name in one if not np.array_equal(one[name], other[name])}


def test_bias_correction_takes_the_mean_errors_out(subject: Subject) -> None:
    plain, corrected = made(subject), made(subject, "bias")
    assert changed(plain, corrected) == {f"b{n}_quantized" for n in (1, 2, 3)}
    layers = [layer for layer in find_layers(corrected) if layer.bias]
    for layer, own in zip(layers, ("c1", "c2", "c3"), strict=True):
        assert layer.bias is not None
        tensor = str(layer.node.outputs[0].name)
        [wanted] = channel_means(subject.core, CONTRACT, CALIBRATION, [own])
        [found] = channel_means(corrected, CONTRACT, CALIBRATION, [tensor])
        [before] = channel_means(plain, CONTRACT, CALIBRATION, [tensor])
        # Half a step of the bias, and float32's rounding of the sums.
        assert (np.abs(found - wanted) < 0.51 * layer.bias.scale + 2e-6).all()
        assert np.abs(before - wanted).max() > 4 * layer.bias.scale.max()


def test_gptq_and_bias_correction_bring_unseen_answers_nearer(subject: Subject) -> None:
    plain, both = made(subject), made(subject, "gptq", "bias")
    weights = {f"w{n}_quantized" for n in (1, 2, 3, 4)}
    assert changed(plain, made(subject, "gptq")) == weights
    assert decibels(subject, both) > decibels(subject, plain) + 1.5
    assert [node.name for node in both.graph] == [node.name for node in plain.graph]
    assert as_it_runs(clean.to_bytes(both)).same_everywhere


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_weights_stay_within_what_they_were(subject: Subject, scheme: str) -> None:
    plain, both = made(subject, scheme=scheme), made(subject, "gptq", "bias", scheme=scheme)
    for old, new in zip(find_layers(plain), find_layers(both), strict=True):
        windows = windows_of(old.node, old.weights.numbers)
        assert windows is not None
        sizes = [
            np.abs(
                to_rows(each.node, each.weights.numbers.astype(int), windows.groups)
                - each.weights.by_channel(windows.groups, len(old.weights.scale))[1][:, :, None]
            )
            for each in (old, new)
        ]
        assert (sizes[1].max(axis=2) <= sizes[0].max(axis=2)).all()
    assert decibels(subject, both) > decibels(subject, plain)


def test_a_channel_that_cannot_saturate_stays_so(subject: Subject) -> None:
    safe = made(subject, "gptq", "bias")
    assert max(largest_pair_sums(safe).values()) <= LARGEST_INT16
    # With 8 bits, one weight of a channel may be 127 where its next is 1.
    plain = made(subject, scheme="u8s8")
    [layer] = [each for each in find_layers(plain) if each.name == "first"]
    numbers = np.clip(layer.weights.numbers, -1, 1)
    numbers[:, 0, 1, 1] = 127
    layer.weights.replace(numbers)
    before = largest_pair_sums(plain)["first"]
    rounded = CORRECTIONS["gptq"](plain, subject.core, CONTRACT, CALIBRATION)
    assert before <= LARGEST_INT16
    assert largest_pair_sums(rounded)["first"] <= LARGEST_INT16
    assert largest_pair_sums(rounded)["third"] > LARGEST_INT16


@pytest.mark.parametrize("name", list(CORRECTIONS))
def test_corrections_leave_what_they_are_given_and_repeat_to_the_byte(
    subject: Subject, name: str
) -> None:
    plain = made(subject)
    before = clean.to_bytes(plain)
    runs = [CORRECTIONS[name](plain, subject.core, CONTRACT, CALIBRATION) for _ in range(2)]
    assert clean.to_bytes(plain) == before
    assert clean.to_bytes(runs[0]) == clean.to_bytes(runs[1]) != before


def test_a_fixed_batch_is_corrected_as_an_open_one(subject: Subject) -> None:
    fixed = observe_subject(build(5), CONTRACT, CALIBRATION, Plan())
    one, other = (constants(made(each, "bias")) for each in (subject, fixed))
    for name in ("b1_quantized", "b2_quantized", "b3_quantized"):
        assert np.abs(one[name] - other[name]).max() <= 1


def test_of_large_pictures_fewer_are_run_and_of_small_ones_all() -> None:
    small, large = np.zeros((500, 32, 32, 3), np.uint8), np.zeros((200, 224, 224, 3), np.uint8)
    large[:, 0, 0, 0] = np.arange(200)
    assert len(enough(small)) == 500
    kept = enough(large)[:, 0, 0, 0].astype(int)
    assert len(kept) == 64
    assert set(np.diff(kept)) == {3, 4}
    assert len(enough(large[:10])) == 10


def test_what_stays_in_float_is_left_alone(subject: Subject) -> None:
    plan = Plan(corrections=("gptq", "bias"), in_float=("second",))
    model = make_int8(subject, plan)
    np.testing.assert_array_equal(constants(model)["w2"], constants(subject.core)["w2"])
    assert decibels(subject, model) > decibels(
        subject, make_int8(subject, replace(plan, corrections=()))
    )


def test_shared_weights_are_left_alone() -> None:
    core = build()
    [first, second] = [node for node in core.graph if node.name in ("first", "third")]
    twin = ir.node("Conv", list(first.inputs), {"pads": [1, 1, 1, 1]}, name="twin")
    twin.outputs[0].name = "twin"
    core.graph.insert_after(first, twin)
    total = ir.node("Add", [first.outputs[0], twin.outputs[0]], name="sum")
    total.outputs[0].name = "sum"
    core.graph.insert_after(twin, total)
    next(n for n in core.graph if n.name == "relu1").replace_input_with(0, total.outputs[0])
    subject = observe_subject(core, CONTRACT, CALIBRATION, Plan())
    touched = changed(made(subject), made(subject, "gptq", "bias"))
    assert touched
    assert not {name for name in touched if name.startswith(("w1", "b1"))}
    assert second.name == "third"


def test_windows_are_what_a_convolution_multiplies(subject: Subject) -> None:
    weights = constants(subject.core)
    for node in subject.core.graph:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        own = weights[str(node.inputs[1].name)]  # type: ignore[union-attr]
        windows = windows_of(node, own)
        assert windows is not None
        values = run_tensors(subject.core, [str(node.inputs[0].name), str(node.outputs[0].name)])  # type: ignore[union-attr]
        read = read_windows(values[0], windows, 10**6, np.random.default_rng(0))
        products = np.einsum("grk,gok->go", read, to_rows(node, own, windows.groups)).reshape(-1)
        bias = weights[str(node.inputs[2].name)] if len(node.inputs) > 2 and node.inputs[2] else 0
        count = values[1].size / values[1].shape[1]
        sums = np.moveaxis(values[1], 1, 0).reshape(values[1].shape[1], -1).sum(axis=1)
        np.testing.assert_allclose(products + bias * count, sums, rtol=1e-3, atol=0.5)


def run_tensors(core: ir.Model, names: list[str]) -> list[NDArray[np.float32]]:
    from edgecnn.quantization.corrections.tapping import tap

    parts = list(tap(core, CONTRACT, CALIBRATION, names))
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def test_rounding_finds_the_best_of_a_small_case() -> None:
    def rounded(numbers: list[float], covariance: Any, room: float = 99, high: int = 9) -> Any:
        limits = Limits(*map(np.array, ([[-high]], [[high]], [[room]], [[1, 2], [0, 2]])))
        return round_rows(np.array([[numbers]]), np.array([covariance]), limits)[0, 0].tolist()

    apart = np.eye(2)
    assert rounded([0.4, 0.4], apart) == [0, 0]
    # Two inputs that are always alike: 0.4 + 0.4 is nearer to 1 than to 0.
    alike = np.array([[1.0, 0.999], [0.999, 1.0]])
    assert sum(rounded([0.4, 0.4], alike)) == 1
    assert rounded([7.6, 0.4], apart, high=5) == [5, 0]
    assert rounded([7.6, 6.2], apart, room=12) == [8, 4]
    assert rounded([-7.6, -6.2], apart, room=12) == [-8, -4]
    assert rounded([7.6, -6.2], apart, room=12) == [8, -6]


def test_each_weight_is_rounded_from_where_those_before_it_put_the_optimum() -> None:
    """Over more weights than are corrected at once, against the least squares that GPTQ solves."""
    random, size = np.random.default_rng(0), 200
    inputs = random.normal(size=(4 * size, size)) @ random.normal(size=(size, size))
    covariance, exact = np.cov(inputs, rowvar=False), random.normal(0, 3, size)
    nobody = np.full((size, 2), size)
    limits = Limits(np.array([[-99]]), np.array([[99]]), np.array([[np.inf]]), nobody)
    found = round_rows(exact[None, None], covariance[None], limits)[0, 0]
    order = np.argsort(-np.diag(covariance), kind="stable")
    for i in range(size):
        done, rest = order[:i], order[i:]
        pull = covariance[np.ix_(rest, done)] @ (found[done] - exact[done])
        optimum = exact[rest] - np.linalg.solve(covariance[np.ix_(rest, rest)], pull)
        assert found[order[i]] == np.rint(optimum[0])
