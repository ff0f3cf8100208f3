"""Plain files against each other, and against themselves on another engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

import edgecnn
from edgecnn.agreement import ParityReport
from edgecnn.errors import BundleError, InputError, ModelError, RuntimeCrashed
from edgecnn.spec import TensorSpec
from tests.runtimes import graphs

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def outcomes(found: ParityReport) -> list[tuple[str, str, str, str]]:
    return [
        (each.name, each.against, each.output, each.verdict.outcome) for each in found.comparisons
    ]


def moved(net: TinyNet, by: float) -> TinyNet:
    return replace(net, bias=net.bias + np.float32(by))


def scaled(path: Path, dtype: str = "float32", gain: float = 1.0, shape: Any = ("N", 4)) -> Path:
    """Write a file that multiplies its input, `x`, by a constant."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "gain"], ["y"])],
        "scaled",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
        [numpy_helper.from_array(np.array(gain, dtype), "gain")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return write(path, model.SerializeToString())


def test_two_files_on_random_inputs(tiny_net: TinyNet, tmp_path: Path) -> None:
    one = write(tmp_path / "one.onnx", tiny_net.onnx())
    same = write(tmp_path / "same.onnx", tiny_net.onnx(batch=1))
    found = edgecnn.parity(one, against=same, seed=3)
    assert (found.inputs, found.seed, found.images) == ("random inputs", 3, 8)
    assert outcomes(found) == [("one.onnx", "same.onnx", "logits", "pass")]
    assert found.comparisons[0].gates[0].name == "error"
    back = edgecnn.parity(same, against=one, atol=1e-4)
    assert (outcomes(back)[0][-1], back.images) == ("pass", 8)


def test_one_changed_weight_fails(tiny_net: TinyNet, tmp_path: Path) -> None:
    one = write(tmp_path / "a" / "net.onnx", tiny_net.onnx())
    other = write(tmp_path / "b" / "net.onnx", moved(tiny_net, by=0.01).onnx())
    found = edgecnn.parity(one, against=other)
    assert outcomes(found) == [("a/net.onnx", "b/net.onnx", "logits", "fail")]
    assert set(found.measured) == {"a/net.onnx", "b/net.onnx"}
    assert edgecnn.parity(one, against=other, atol=0.5).verdict.outcome == "pass"


def test_one_file_on_two_runtimes(tiny_net: TinyNet, tmp_path: Path) -> None:
    file = write(tmp_path / "one.onnx", tiny_net.onnx(preprocessing=False))
    found = edgecnn.parity(file, runtime=("ort", "reference"))
    assert outcomes(found) == [("one.onnx", "ort/cpu", "logits", "pass")]
    assert found.comparisons[0].runtime == "reference"
    with pytest.raises(InputError, match=r"nothing to compare .*--runtime ort,reference"):
        edgecnn.parity(file)


def test_files_without_a_common_ground(tiny_net: TinyNet, tmp_path: Path) -> None:
    pixels = write(tmp_path / "pixels.onnx", tiny_net.onnx())
    floats = write(tmp_path / "floats.onnx", tiny_net.onnx(preprocessing=False))
    with pytest.raises(InputError, match=r"floats\.onnx takes image: float32 \[N, 3, 8, 8\]"):
        edgecnn.parity(pixels, against=floats)
    with pytest.raises(InputError, match="has no variants"):
        edgecnn.parity(pixels, ["fp32"], floats)
    with pytest.raises(InputError, match=r"no file .*missing\.onnx"):
        edgecnn.parity(tmp_path / "missing.onnx", against=pixels)
    with pytest.raises(InputError, match=r"pixels\.onnx is named twice"):
        edgecnn.parity(pixels, against=pixels)
    with pytest.raises(BundleError, match="does not exist"):
        edgecnn.parity(tmp_path / "missing")


def test_a_file_that_the_gate_refuses(tiny_net: TinyNet, tmp_path: Path) -> None:
    good = write(tmp_path / "good.onnx", tiny_net.onnx())
    with pytest.raises(ModelError, match=r"bad\.onnx is no ONNX file"):
        edgecnn.parity(good, against=write(tmp_path / "bad.onnx", b"no model"))


CRASHING = '''
"""A runtime that crashes when it opens a file, or when it runs it."""
import ctypes
from edgecnn.shelves import load_runtime

ort = load_runtime("ort")
NAME, FORMATS, PROVIDERS, availability = "mine", ort.FORMATS, ort.PROVIDERS, ort.availability


def open_session(variant, **asked):
    if "{when}" == "open":
        ctypes.string_at(0)
    session = ort.open_session(variant, **asked)
    session.run = lambda inputs: ctypes.string_at(0)
    return session
'''


@pytest.mark.parametrize("when", ["open", "run"])
def test_a_crash_is_an_error(tmp_path: Path, when: str) -> None:
    file, mine = scaled(tmp_path / "x.onnx"), tmp_path / "mine"
    write(mine / "runtime.py", CRASHING.format(when=when).encode())
    with pytest.raises(RuntimeCrashed, match=r"'x\.onnx' crashed \(SIGSEGV\)"):
        edgecnn.parity(file, runtime=("ort", str(mine)), atol=1.0)


def test_many_inputs_of_many_types(tmp_path: Path) -> None:
    content = graphs.many().SerializeToString()
    one, other = write(tmp_path / "one.onnx", content), write(tmp_path / "other.onnx", content)
    saved = tmp_path / "saved.npz"
    found = edgecnn.parity(one, against=other, save_outputs=saved, atol=1e-5)
    assert {outcome for *_, outcome in outcomes(found)} == {"pass"}
    assert len(found.comparisons) == len(graphs.MANY_OUTPUTS)
    with np.load(saved) as arrays:
        shapes = {spec.name: arrays[f"input.{spec.name}"].shape for spec in graphs.MANY_INPUTS}
        assert shapes == {"a": (8, 3), "b": (8,), "c": (2, 2), "gain": (), "flag": (8,)}
        assert arrays["one.onnx.ort.cpu.scaled"].shape == (8, 3)


def test_inputs_from_a_file(tmp_path: Path) -> None:
    one, other = scaled(tmp_path / "one.onnx"), scaled(tmp_path / "other.onnx", gain=1.001)
    inputs = tmp_path / "real.npz"
    np.savez(inputs, x=np.full((5, 4), 2, np.float32))
    found = edgecnn.parity(one, against=other, inputs=inputs)
    assert (found.inputs, found.seed, found.images) == ("real.npz", None, 5)
    assert found.verdict.outcome == "fail"
    assert found.comparisons[0].agreement.max_abs == pytest.approx(0.002, rel=1e-3)


def test_open_sizes_must_be_given(tmp_path: Path) -> None:
    one = scaled(tmp_path / "one.onnx", shape=("N", 3, "H", "W"))
    other = scaled(tmp_path / "other.onnx", shape=("N", 3, "H", "W"))
    with pytest.raises(InputError, match="leaves H, W open") as caught:
        edgecnn.parity(one, against=other)
    assert "--input-shape x=1x3x224x224" in caught.value.remedy
    shapes = {"x": (1, 3, 5, 6)}
    found = edgecnn.parity(one, against=other, input_shapes=shapes, atol=1e-5)
    assert (found.verdict.outcome, found.images) == ("pass", 8)


def test_inputs_of_other_names_are_taken_in_their_order(tiny_net: TinyNet, tmp_path: Path) -> None:
    one = write(tmp_path / "one.onnx", tiny_net.onnx())
    renamed = tiny_net.onnx().replace(b"\x06pixels", b"\x06photos")
    found = edgecnn.parity(one, against=write(tmp_path / "other.onnx", renamed), atol=1e-4)
    assert found.verdict.outcome == "pass"
    assert found.notes == ("other.onnx calls its inputs otherwise: pixels into photos.",)


def test_half_precision_is_held_to_what_it_costs(tmp_path: Path) -> None:
    one = scaled(tmp_path / "one.onnx", gain=1.1)
    half = scaled(tmp_path / "half.onnx", "float16", gain=1.1)
    found = edgecnn.parity(one, against=half)
    assert found.verdict.outcome == "pass"
    assert found.comparisons[0].agreement.max_abs > 1e-5
    wrong = scaled(tmp_path / "wrong.onnx", "float16", gain=1.3)
    assert edgecnn.parity(one, against=wrong).verdict.outcome == "fail"


def test_what_saturates_is_held_to_an_error_of_one(tmp_path: Path) -> None:
    nodes = [helper.make_node("Sub", ["x", "c"], ["d"]), helper.make_node("Sigmoid", ["d"], ["y"])]
    specs = [TensorSpec(name, "float32", ("N", 4)) for name in "xy"]
    content = graphs.model(nodes, (specs[0],), (specs[1],), {"c": np.array([[19]], np.float32)})
    file = write(tmp_path / "far.onnx", content.SerializeToString())
    (comparison,) = edgecnn.parity(file, runtime=("ort", "reference")).comparisons
    assert comparison.agreement.max_abs > 1e-9  # ONNX Runtime ends its sigmoid at -18
    assert comparison.verdict.outcome == "pass"


def test_quantized_against_float(tiny_net: TinyNet, tmp_path: Path) -> None:
    one = write(tmp_path / "one.onnx", tiny_net.onnx(preprocessing=False))
    int8 = write(tmp_path / "int8.onnx", tiny_net.onnx("int8", preprocessing=False))
    real = tmp_path / "real.npz"
    np.savez(
        real,
        image=np.clip(np.random.default_rng(0).normal(size=(9, 3, 8, 8)), -2, 2).astype(np.float32),
    )
    found = edgecnn.parity(int8, against=one, inputs=real)
    assert [gate.name for gate in found.comparisons[0].gates] == ["sqnr"]
    assert found.verdict.outcome == "pass"
    far = write(tmp_path / "far.onnx", moved(tiny_net, by=9.0).onnx(preprocessing=False))
    assert edgecnn.parity(int8, against=far, inputs=real).verdict.outcome == "fail"
    doubtful = edgecnn.parity(int8, against=far)
    assert doubtful.verdict.outcome == "inconclusive"
    assert "at least 20.0 dB is needed; but the inputs are random" in doubtful.verdict.reasons[0]


def test_a_quantized_file_on_two_engines(tiny_net: TinyNet, tmp_path: Path) -> None:
    int8 = write(tmp_path / "int8.onnx", tiny_net.onnx("int8"))
    (comparison,) = edgecnn.parity(int8, runtime=("ort", "reference")).comparisons
    assert comparison.verdict.outcome == "pass"
    assert comparison.gates[0].limit == pytest.approx(30, abs=12)


def test_files_that_take_no_inputs(tmp_path: Path) -> None:
    def constant(name: str, value: float) -> Path:
        nodes = [helper.make_node("Neg", ["c"], ["y"])]
        outputs = (TensorSpec("y", "float32", (2,)),)
        content = graphs.model(nodes, (), outputs, {"c": np.array([value, 1], np.float32)})
        return write(tmp_path / name, content.SerializeToString())

    one, same = constant("one.onnx", 2), constant("same.onnx", 2)
    found = edgecnn.parity(one, against=same)
    assert (found.inputs, found.seed, found.images) == ("no inputs", None, 1)
    assert found.verdict.outcome == "pass"
    assert (
        edgecnn.parity(one, against=constant("other.onnx", 3), atol=0.1).verdict.outcome == "fail"
    )


def empty(path: Path, sizes: Sequence[int]) -> Path:
    """Write a file one of whose outputs has no rows, and the other those of the input."""
    nodes = [
        helper.make_node("Slice", ["x", "from", "to"], ["few"]),
        helper.make_node("Identity", ["x"], ["all"]),
    ]
    inputs = (TensorSpec("x", "float32", ("N", 4)),)
    outputs = (
        TensorSpec("few", "float32", ("M", 4)),
        TensorSpec("all", "float32", ("N", 4)),
    )
    constants: graphs.Arrays = {"from": np.array([0]), "to": np.array(sizes)}
    return write(path, graphs.model(nodes, inputs, outputs, constants).SerializeToString())


def test_outputs_without_rows_are_not_compared_and_said(tmp_path: Path) -> None:
    one, other = empty(tmp_path / "one.onnx", [0]), empty(tmp_path / "other.onnx", [0])
    found = edgecnn.parity(one, against=other, atol=1e-5)
    assert [each.output for each in found.comparisons] == ["all"]
    assert found.notes == ("Output 'few' is empty on these inputs, so it is not compared.",)
    two = empty(tmp_path / "two.onnx", [2])
    with pytest.raises(InputError, match=r"'few' of one\.onnx has the shape \[0, 4\]"):
        edgecnn.parity(one, against=two, atol=1e-5)


def test_a_file_that_takes_other_batches(tmp_path: Path) -> None:
    three, two = (
        scaled(tmp_path / "3.onnx", shape=(3, 4)),
        scaled(tmp_path / "2.onnx", shape=(2, 4)),
    )
    with pytest.raises(InputError, match="3 inputs do not fill batches of 2"):
        edgecnn.parity(three, against=two, atol=1e-5)
    six = tmp_path / "six.npz"
    np.savez(six, x=np.ones((6, 4), np.float32))
    found = edgecnn.parity(three, against=two, inputs=six, atol=1e-5)
    assert (found.verdict.outcome, found.images) == ("pass", 6)


def test_inputs_are_for_plain_files(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle(variants=("fp32",))
    file = bundle.folder / "fp32.onnx"
    for model, against in ((bundle, None), (bundle, file), (file, bundle)):
        with pytest.raises(InputError, match="compared on its golden vectors"):
            edgecnn.parity(model, against=against, input_shapes={"pixels": (1, 8, 8, 3)})
