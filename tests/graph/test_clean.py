"""Models without traces of the machine that built them."""

from __future__ import annotations

from typing import Any

import onnx
import onnx_ir as ir
import pytest

from edgecnn.errors import ModelError
from edgecnn.graph import clean

SECRET = "/home/somebody/net.py"
NOISY = """
<ir_version: 10, opset_import: ["" : 18, "com.microsoft" : 1], producer_name: "pytorch">
main (float[batch, 3] x) => (float[batch, 3] y)
<float[3] unused = {1, 2, 3}> { z = Relu(x)  y = Neg(z) }
"""


def noisy() -> ir.Model:
    model = ir.from_onnx_text(NOISY)
    model.metadata_props["trace"] = SECRET
    model.graph.metadata_props["trace"] = SECRET
    model.graph.doc_string = model.doc_string = SECRET
    model.producer_version = SECRET
    for node in model.graph:
        node.metadata_props["trace"] = node.doc_string = SECRET
        node.outputs[0].metadata_props["trace"] = node.outputs[0].doc_string = SECRET
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.metadata_props["trace"] = SECRET
    return model


def test_no_trace_of_the_machine_is_left() -> None:
    assert SECRET.encode() in clean.to_bytes(noisy())
    assert SECRET.encode() not in clean.to_bytes(clean.clean(noisy()))


def test_only_what_computes_is_left() -> None:
    proto = onnx.load_from_string(clean.to_bytes(clean.clean(noisy())))
    assert [node.op_type for node in proto.graph.node] == ["Relu", "Neg"]
    assert [entry.domain for entry in proto.opset_import] == [""]
    assert not proto.graph.initializer
    assert not proto.graph.value_info
    assert (proto.producer_name, proto.producer_version) == ("edgecnn", "")
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    assert proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "N"
    onnx.checker.check_model(proto, full_check=True)


def test_cleaning_twice_changes_nothing() -> None:
    once = clean.clean(noisy())
    assert clean.to_bytes(clean.clean(once)) == clean.to_bytes(once)


def test_the_model_that_was_given_is_left_as_it_is() -> None:
    model = noisy()
    before = clean.to_bytes(model)
    clean.clean(model)
    assert clean.to_bytes(model) == before


@pytest.mark.parametrize(
    ("opset", "ir_version"), [(17, 8), (18, 8), (19, 9), (20, 9), (21, 10), (23, 10)]
)
def test_the_ir_version_is_the_oldest_that_is_enough(opset: int, ir_version: int) -> None:
    model = noisy()
    model.opset_imports[""] = opset
    assert clean.clean(model).ir_version == ir_version


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a model", b"\x08"])
def test_what_is_no_model_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"net\.onnx cannot be read"):
        clean.from_bytes(content, where="net.onnx")


def test_a_truncated_model_is_refused(tiny_net: Any) -> None:
    content = tiny_net.onnx()
    with pytest.raises(ModelError, match="cannot be read"):
        clean.from_bytes(content[: len(content) // 2], where="net.onnx")
