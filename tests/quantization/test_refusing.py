"""Nets and data that int8 cannot be made of: one sentence, a remedy, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from edgecnn import bundle as bundles
from edgecnn.bundle import Bundle
from edgecnn.golden import make_npz
from edgecnn.graph import clean
from tests.conftest import CLASSES, MakeBundle, TinyNet, TypeCommand
from tests.quantization.conftest import MakeFp32

Change = Callable[[ir.Model], None]
BRIEFLY = ("--threads", 1, "--duration", "0.05s")


def nodes_of(model: ir.Model, operator: str) -> list[ir.Node]:
    return [node for node in model.graph if node.op_type == operator]


def constant(model: ir.Model, name: str, array: object) -> ir.Value:
    tensor = ir.tensor(np.asarray(array), name=name)
    value = ir.Value(name=name, type=ir.TensorType(tensor.dtype), const_value=tensor)
    model.graph.register_initializer(value)
    return value


def round_pixels(model: ir.Model) -> None:
    """Round what goes into the net to 8 bits, as a quantized file does."""
    [image] = model.graph.inputs
    numbers = [constant(model, "s", np.float32(0.05)), constant(model, "z", np.uint8(128))]
    step = ir.node("QuantizeLinear", [image, *numbers], name="step")
    back = ir.node("DequantizeLinear", [step.outputs[0], *numbers], name="back")
    image.replace_all_uses_with(back.outputs[0])
    step.replace_input_with(0, image)
    model.graph.insert_before(model.graph[0], [step, back])


def compute_weights(model: ir.Model) -> None:
    """Multiply all weights by a number that depends on the image."""
    [image] = model.graph.inputs
    one = ir.node("ReduceMax", [image], {"keepdims": 0}, name="brightest")
    made = [one]
    for node in (*nodes_of(model, "Conv"), *nodes_of(model, "Gemm")):
        made.append(ir.node("Mul", [node.inputs[1], one.outputs[0]], name=f"own_{node.op_type}"))
        node.replace_input_with(1, made[-1].outputs[0])
    model.graph.insert_before(model.graph[0], made)


def keep_no_layer(model: ir.Model) -> None:
    """Give the means of three colours and of the first one again, without any product."""
    [image], [logits] = model.graph.inputs, model.graph.outputs
    pool = ir.node("GlobalAveragePool", [image], name="means")
    flat = ir.node("Flatten", [pool.outputs[0]], name="flat")
    four = ir.node("Pad", [flat.outputs[0], constant(model, "pads", [0, 0, 0, 1])], name="four")
    four.outputs[0].shape, four.outputs[0].type = logits.shape, logits.type
    model.graph.outputs[:] = four.outputs
    model.graph.remove(list(model.graph), safe=True)
    for name in ("w", "matrix", "bias"):
        model.graph.initializers.pop(name)
    model.graph.extend([pool, flat, four])
    four.outputs[0].name = "logits"


def break_weights(model: ir.Model) -> None:
    [gemm] = nodes_of(model, "Gemm")
    matrix = gemm.inputs[1]
    assert matrix is not None
    assert matrix.const_value is not None
    broken = matrix.const_value.numpy().copy()
    broken[0, 0] = np.nan
    matrix.const_value = ir.tensor(broken, name=matrix.name)


def refused(typed: TypeCommand, bundle: Bundle, *options: object) -> str:
    """Quantize on the command line; give the one sentence with which it is refused."""
    before = {path: path.read_bytes() for path in bundle.folder.rglob("*") if path.is_file()}
    done = typed("quantize", bundle.folder, *BRIEFLY, *options)
    assert (done.code, done.out) == (2, ""), done.err
    after = {path: path.read_bytes() for path in bundle.folder.rglob("*") if path.is_file()}
    assert after == before
    assert "Traceback" not in done.err
    return " ".join(done.err.split())


@pytest.mark.parametrize(
    ("change", "said", "remedy"),
    [
        (round_pixels, "quantized already", "edgecnn import"),
        (compute_weights, "are computed while it runs", "model.eval()"),
        (keep_no_layer, "nothing that int8 makes cheaper", "Keep fp32"),
        (break_weights, "NaN or infinite weights, in matrix", "Train or convert the net again"),
    ],
)
def test_nets_that_int8_cannot_be_made_of(
    make_bundle: MakeBundle,
    make_fp32: MakeFp32,
    type_command: TypeCommand,
    change: Change,
    said: str,
    remedy: str,
) -> None:
    text = refused(type_command, make_fp32(change=change))
    assert said in text
    assert remedy in text


def test_an_operator_that_nobody_knows(make_fp32: MakeFp32, type_command: TypeCommand) -> None:
    bundle = make_fp32()
    model = clean.from_bytes(bundle.read("fp32.onnx"), where="fp32")
    [relu] = nodes_of(model, "Relu")
    relu.op_type = "FancyRelu"
    # No session could have made such a bundle; a newer edgecnn, or a user, could.
    files = {"fp32.onnx": clean.to_bytes(model)}
    text = refused(type_command, bundles.extend(bundle, files, bundle.variant("fp32")))
    assert "FancyRelu" in text


def write_npz(path: Path, net: TinyNet, train: object, test: object) -> Path:
    """Write the tiny net's labels with other images."""
    arrays = {"x_train": np.asarray(train), "x_test": np.asarray(test)}
    labels = {
        "y_train": net.labels[: len(arrays["x_train"])],
        "y_test": net.labels[-len(arrays["x_test"]) :],
    }
    path.write_bytes(make_npz(arrays | labels | {"labels": np.array(CLASSES)}))
    return path


def test_data_that_calibrates_nothing(
    make_fp32: MakeFp32, type_command: TypeCommand, tiny_net: TinyNet, tmp_path: Path
) -> None:
    bundle = make_fp32()
    empty = tmp_path / "empty"
    empty.mkdir()
    flat = tiny_net.images.reshape(200, -1)
    noise = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3), dtype=np.uint8)
    said = {
        empty: "no class folders",
        write_npz(
            tmp_path / "none.npz", tiny_net, tiny_net.images[:0], tiny_net.images
        ): "no stack of images",
        write_npz(tmp_path / "flat.npz", tiny_net, flat[:80], flat[80:]): "no stack of images",
        write_npz(tmp_path / "noise.npz", tiny_net, noise[:80], noise[80:]): "random noise",
    }
    texts = {path: refused(type_command, bundle, "--data", path) for path in said}
    for path, part in said.items():
        assert part in texts[path], texts
