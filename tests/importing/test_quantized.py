"""Files that are quantized already, and quantizing what was imported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, defs, helper, load, numpy_helper

import edgecnn
from edgecnn.agreement import sqnr_db
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.errors import DataError, ModelError
from edgecnn.extras import quietly
from edgecnn.golden import golden, make_npz
from edgecnn.graph.qoperator import has_integer_operators, spell_out
from edgecnn.importing.contract import Choice
from edgecnn.importing.labelled import DataSource
from edgecnn.importing.onnx_file import import_onnx
from edgecnn.runtime import open_session, plain_file
from tests.conftest import CLASSES, SIZE, TinyNet
from tests.importing import foreign
from tests.importing.foreign import CHOICE, Change

_EACH: list[tuple[str, list[str], str, dict[str, Any]]] = [
    ("Conv", ["x", "w1", "b1"], "c1", {"pads": [1] * 4}),
    ("Relu", ["c1"], "r1", {}),
    ("Conv", ["r1", "w2", "b2"], "c2", {"pads": [1] * 4}),
    ("Add", ["c2", "r1"], "sum", {}),
    ("LeakyRelu", ["sum"], "leaky", {"alpha": 0.1}),
    ("Sigmoid", ["leaky"], "gate", {}),
    ("Mul", ["leaky", "gate"], "swish", {}),
    ("MaxPool", ["swish"], "highest", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("AveragePool", ["swish"], "mean", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("Concat", ["highest", "mean"], "both", {"axis": 1}),
    ("GlobalAveragePool", ["both"], "pooled", {}),
    ("Flatten", ["pooled"], "features", {}),
    ("Gemm", ["features", "w3", "b3"], "hidden", {"transB": 1}),
    ("MatMul", ["hidden", "w4"], "logits", {}),
    ("Softmax", ["logits"], "shares", {"axis": 1}),
]


def _of_each_operator(opset: int) -> ModelProto:
    random = np.random.default_rng(0)
    sizes = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 8, 3, 3), "b2": (8,)}
    sizes |= {"w3": (4, 16), "b3": (4,), "w4": (4, 4)}
    weights = {
        name: (random.normal(size=size) / np.sqrt(np.prod(size[1:]))).astype(np.float32)
        for name, size in sizes.items()
    }
    weights["w4"] *= 8  # so that the shares differ from image to image
    nodes = [
        helper.make_node(kind, inputs, [output], name=output, **attributes)
        for kind, inputs, output, attributes in _EACH
    ]
    graph = helper.make_graph(
        nodes,
        "each",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("shares", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


class _Reader:
    def __init__(self, values: NDArray[np.float32]) -> None:
        self._rows: Iterator[NDArray[np.float32]] = iter(np.split(values, len(values)))

    def get_next(self) -> dict[str, Any] | None:
        row = next(self._rows, None)
        return None if row is None else {"x": row}


def _quantized(path: Path, values: NDArray[np.float32], opset: int, kind: str) -> Path:
    """Let ONNX Runtime's own quantizer write a file, as anybody would."""
    from onnxruntime import quantization as ort

    with quietly():
        ort.quantize_static(
            _of_each_operator(opset),
            path,
            _Reader(values),
            quant_format=ort.QuantFormat[kind],
            activation_type=ort.QuantType.QUInt8,
            weight_type=ort.QuantType.QInt8,
            per_channel=opset >= 13,
            reduce_range=True,
        )
    return path


@pytest.fixture
def values(tiny_net: TinyNet) -> NDArray[np.float32]:
    return foreign.pixels_to_float(tiny_net, tiny_net.images[:24], "nchw")


def _run(path: Path, values: NDArray[np.float32], **how: Any) -> NDArray[Any]:
    with open_session(plain_file(str(path)), threads=1, **how) as session:
        [spec], [output] = session.inputs, session.outputs
        return session.run({spec.name: values})[output.name]


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("kind", ["QOperator", "QDQ"])
def test_a_quantized_file_becomes_int8(
    kind: str, opset: int, values: NDArray[np.float32], tiny_net: TinyNet, tmp_path: Path
) -> None:
    path = _quantized(tmp_path / "net.onnx", values, opset, kind)
    report = import_onnx(path, CHOICE, tmp_path / "bundle", progress=lambda *_: None)
    bundle = open_bundle(tmp_path / "bundle")
    assert report.variants == ("int8",)
    assert bundle.variant("int8").precision == "int8"
    assert not has_integer_operators(load(tmp_path / "bundle" / "int8.onnx"))
    with edgecnn.load(bundle, variant="int8") as predictor:
        found = predictor.run(tiny_net.images[:24])
    assert sqnr_db(found, _run(path, values).astype(np.float64)) > 30
    assert sqnr_db(golden(bundle).outputs["shares"], _float(bundle)) > 15


def _float(bundle: Bundle) -> NDArray[np.float64]:
    """Give what the float net answers to the golden images."""
    from edgecnn.predictor import normalise

    path = bundle.folder.parent / "float.onnx"
    path.write_bytes(_of_each_operator(17).SerializeToString())
    images = normalise(bundle.manifest.contract, golden(bundle).images)
    return _run(path, images, runtime="reference", options={"precision": "float64"})


def test_spelled_out_operators_compute_the_same(
    values: NDArray[np.float32], tmp_path: Path
) -> None:
    path = _quantized(tmp_path / "net.onnx", values, 17, "QOperator")
    model = load(path)
    known = {node.op_type for node in model.graph.node}
    assert {"QLinearConv", "QLinearAdd", "QLinearConcat", "QGemm", "QLinearSoftmax"} <= known
    spelled = tmp_path / "spelled.onnx"
    spelled.write_bytes(spell_out(model).SerializeToString())
    expected = _run(path, values)
    double = _run(spelled, values, runtime="reference", options={"precision": "float64"})
    # One step of the last quantizer apart, at the most.
    assert np.abs(double - expected).max() <= 1 / 255
    assert np.abs(_run(spelled, values) - expected).max() <= 1 / 255


def test_an_unknown_integer_operator_is_named(values: NDArray[np.float32], tmp_path: Path) -> None:
    model = load(_quantized(tmp_path / "net.onnx", values, 17, "QOperator"))
    model.graph.node[3].op_type = "QLinearTanh"
    with pytest.raises(ModelError, match="QLinearTanh"):
        spell_out(model)


@pytest.fixture
def data(tiny_net: TinyNet, tmp_path: Path) -> DataSource:
    """Give the tiny net's images as a file: 80 to train on, 120 to test with."""
    images, labels = tiny_net.images, tiny_net.labels
    arrays: dict[str, NDArray[Any]] = {
        "x_train": images[:80],
        "y_train": labels[:80],
        "x_test": images[80:],
    }
    content = make_npz({**arrays, "y_test": labels[80:], "labels": np.array(CLASSES)})
    (tmp_path / "data.npz").write_bytes(content)
    return DataSource(str(tmp_path / "data.npz"))


@pytest.mark.parametrize(
    "changes",
    [
        (foreign.opset(7), foreign.old_ir, foreign.channels_last),
        (foreign.softmax, foreign.opset(defs.onnx_opset_version())),
    ],
    ids=["opset7-nhwc", "newest-softmax"],
)
def test_an_imported_net_is_quantized(
    changes: tuple[Change, ...], data: DataSource, tiny_net: TinyNet, tmp_path: Path
) -> None:
    path = foreign.write(tmp_path / "net.onnx", tiny_net, *changes, batch=1)
    choice = Choice(mean=CHOICE.mean, std=CHOICE.std)
    report = import_onnx(path, choice, tmp_path / "b", source=data, progress=lambda *_: None)
    assert report.data is not None
    assert report.contract.labels == CLASSES
    found = edgecnn.quantize(tmp_path / "b", duration=0.1)
    assert found.paired is not None
    assert found.paired.same > 0.9
    bundle = open_bundle(tmp_path / "b")
    assert not golden(bundle).stand_in
    assert bundle.variant("int8").parent is not None
    operators = {node.op_type for node in load(tmp_path / "b" / "int8.onnx").graph.node}
    assert "QuantizeLinear" in operators


def test_without_data_there_is_no_int8(tiny_net: TinyNet, tmp_path: Path) -> None:
    path = foreign.write(tmp_path / "net.onnx", tiny_net)
    import_onnx(path, CHOICE, tmp_path / "b", progress=lambda *_: None)
    with pytest.raises(DataError, match="no data of its own") as refusal:
        edgecnn.quantize(tmp_path / "b")
    assert "--data" in refusal.value.remedy
