"""Letting plain files in: what they are called, what is known of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from edgecnn.errors import InputError, ModelError, UnavailableError
from edgecnn.plain import is_file_name, open_files
from edgecnn.records import file_sha256
from edgecnn.spec import TensorSpec
from tests.conftest import TinyNet
from tests.plain import graphs as plain
from tests.runtimes import graphs

X = TensorSpec("x", "float32", ("N", 4))


def test_files_are_called_by_what_tells_them_apart(tmp_path: Path) -> None:
    names = ["a/net.onnx", "b/net.onnx", "b/other.onnx"]
    for name in names:
        plain.taking(tmp_path / name, X)
    paths = [tmp_path / name for name in names]
    assert [file.name for file in open_files(paths[1:])] == ["net.onnx", "other.onnx"]
    assert [file.name for file in open_files(paths)] == names
    assert [file.variant.name for file in open_files(paths)] == names
    assert open_files(paths)[1].measured == {"b/net.onnx": file_sha256(paths[1])}


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    plain.taking(file, X)
    link = tmp_path / "link.onnx"
    link.symlink_to(file)
    with pytest.raises(InputError, match=r"net\.onnx is named twice"):
        open_files([file, link])
    with pytest.raises(InputError, match="is a folder"):
        open_files([tmp_path])
    with pytest.raises(InputError, match=r"no file .*absent\.onnx"):
        open_files([tmp_path / "absent.onnx"])
    file.write_text("no model")
    with pytest.raises(ModelError, match="is no ONNX file"):
        open_files([file])


def test_without_onnx_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = plain.taking(tmp_path / "net.onnx", X).variant.path
    monkeypatch.setattr("edgecnn.extras.find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match="needs onnx") as caught:
        open_files([path])
    assert "pip install 'edgecnn[onnx]'" in caught.value.remedy


def test_a_name_means_a_file_or_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "runs.onnx").mkdir()
    (tmp_path / "model").write_text("x")
    names = ("absent.onnx", "model", "runs.onnx", "runs/lenet")
    assert [is_file_name(tmp_path / name) for name in names] == [True, True, False, False]


def test_precision_is_read_from_the_graph(tiny_net: TinyNet, tmp_path: Path) -> None:
    half = plain.opened(tmp_path / "half.onnx", plain.weighed(np.ones((4, 2), np.float16)))
    full = plain.opened(tmp_path / "full.onnx", plain.weighed(np.ones((4, 2), np.float32)))
    (tmp_path / "int8.onnx").write_bytes(tiny_net.onnx("int8"))
    (int8,) = open_files([tmp_path / "int8.onnx"])
    assert [file.variant.precision for file in (half, full, int8)] == ["fp16", "fp32", "int8"]


def test_weights_outside_the_file_belong_to_it(tmp_path: Path) -> None:
    model = plain.weighed(np.ones((4, 2), np.float32))
    beside = tmp_path / "net.onnx.data"
    beside.write_bytes(plain.put_outside(model, "w", "net.onnx.data"))
    file = plain.opened(tmp_path / "net.onnx", model)
    assert file.variant.files == (str(tmp_path / "net.onnx"), str(beside))
    assert file.measured["net.onnx.data"] == file_sha256(beside)
    assert file.memory > 2**30


def test_sizes_left_open_by_minus_one_are_open(tmp_path: Path) -> None:
    model = plain.weighed(np.ones((4, 2), np.float32))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    (spec,) = plain.opened(tmp_path / "net.onnx", model).inputs
    assert spec.shape == ("?", 4)


def test_outputs_that_end_in_a_sigmoid_are_known(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"]),
        helper.make_node("Transpose", ["s"], ["turned"], perm=[1, 0]),
        helper.make_node("Add", ["s", "x"], ["sum"]),
    ]
    outputs = (TensorSpec("turned", "float32", (4, "N")), TensorSpec("sum", "float32", ("N", 4)))
    file = plain.opened(tmp_path / "net.onnx", graphs.model(nodes, (X,), outputs))
    assert file.up_to_one == {"turned"}


def test_memory_is_limited_where_the_model_alone_takes_it(tmp_path: Path) -> None:
    file = plain.taking(tmp_path / "net.onnx", X)
    one = file.memory_for(1, "cpu")
    assert one == file.memory_for(1, None) == file.memory_for(1, "CPUExecutionProvider")
    assert (file.memory_for(3, "cpu") or 0) > (one or 0)
    assert file.memory_for(1, "cuda") is None
