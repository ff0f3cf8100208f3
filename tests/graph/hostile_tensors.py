"""Files whose inputs or weights are no plain tensors, or not where they should be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from onnx import (
    AttributeProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
)

from tests.graph.hostile import (
    hostile,
    hostile_place,
    model,
    node,
    relu,
    with_weight,
)


def typed(kind: Any) -> ModelProto:
    found = relu()
    found.graph.input[0].type.CopyFrom(kind)
    return found


@hostile("'x', a sequence")
def a_sequence() -> ModelProto:
    element = helper.make_tensor_type_proto(TensorProto.FLOAT, [1])
    return typed(helper.make_sequence_type_proto(element))


@hostile("'x', an optional")
def perhaps_nothing() -> ModelProto:
    element = helper.make_tensor_type_proto(TensorProto.FLOAT, [1])
    return typed(helper.make_optional_type_proto(element))


@hostile("'x', a sparse tensor")
def a_sparse_input() -> ModelProto:
    return typed(helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, [9]))


@hostile("'x', a text")
def a_text() -> ModelProto:
    return typed(helper.make_tensor_type_proto(TensorProto.STRING, [1]))


@hostile("negative size")
def a_negative_input() -> ModelProto:
    return model(node("Relu", "x", "y"), shape=(1, -(2**40)))


@hostile("'x' of 4,294,967,296 GiB")
def an_input_without_end() -> ModelProto:
    return model(node("Relu", "x", "y"), shape=(2**30, 2**30))


@hostile(r"4,000,000,000 bytes, but holds 0")
def weights_that_are_not_there() -> ModelProto:
    return with_weight(dims=[10**9])


@hostile("negative size")
def negative_weights() -> ModelProto:
    return with_weight(dims=[-1, 4])


@hostile("but holds 0")
def weights_whose_size_overflows() -> ModelProto:
    return with_weight(dims=[2**32, 2**32])  # 0 in 64 bits


@hostile("100 axes")
def weights_of_a_hundred_axes() -> ModelProto:
    return with_weight(dims=[1] * 100, raw_data=bytes(4))


@hostile("in pieces")
def weights_in_pieces() -> ModelProto:
    return with_weight(dims=[4], raw_data=bytes(16), segment=TensorProto.Segment(begin=0, end=9))


@hostile("more than one form")
def weights_twice() -> ModelProto:
    return with_weight(dims=[1], raw_data=bytes(4), float_data=[1.0])


@hostile("no number")
def weights_of_text() -> ModelProto:
    found = with_weight(dims=[1], string_data=[b"a"])
    found.graph.initializer[0].data_type = TensorProto.STRING
    return found


@hostile("sparse weights")
def sparse_weights() -> ModelProto:
    found = relu()
    values = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [1], [2**40])
    sparse = helper.make_sparse_tensor(values, indices, [2**60])
    found.graph.sparse_initializer.append(sparse)
    return found


@hostile("sparse tensor")
def a_sparse_constant() -> ModelProto:
    values = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [1], [2**40])
    sparse = helper.make_sparse_tensor(values, indices, [2**60])
    constant = NodeProto(op_type="Constant", output=["c"])
    constant.attribute.append(
        AttributeProto(name="sparse_value", type=AttributeProto.SPARSE_TENSOR, sparse_tensor=sparse)
    )
    return model(constant, node("Add", "x c", "y"))


def outside(folder: Path, **entries: str) -> Path:
    """Write a net whose weights lie elsewhere, and `weights.bin` of 16 bytes beside it."""
    found = with_weight(dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        found.graph.initializer[0].external_data.add(key=key, value=value)
    home = folder / "home"
    home.mkdir()
    (home / "weights.bin").write_bytes(bytes(16))
    (folder / "secret").write_bytes(bytes(16))
    path = home / "net.onnx"
    path.write_bytes(found.SerializeToString())
    return path


@hostile_place("no place beside the file")
def weights_in_the_root(folder: Path) -> Path:
    return outside(folder, location="/etc/passwd")


@hostile_place("outside its own folder")
def weights_next_door(folder: Path) -> Path:
    return outside(folder, location="../secret")


@hostile_place("outside its own folder")
def weights_next_door_in_disguise(folder: Path) -> Path:
    return outside(folder, location="a/../../secret")


@hostile_place("behind the link")
def weights_behind_a_link(folder: Path) -> Path:
    path = outside(folder, location="link")
    (path.parent / "link").symlink_to(folder / "secret")
    return path


@hostile_place("behind the link")
def weights_in_a_linked_folder(folder: Path) -> Path:
    path = outside(folder, location="link/secret")
    (path.parent / "link").symlink_to(folder)
    return path


@hostile_place("a hard link")
def weights_behind_a_hard_link(folder: Path) -> Path:
    path = outside(folder, location="link")
    (path.parent / "link").hardlink_to(folder / "secret")
    return path


@hostile_place("which is missing")
def weights_nowhere(folder: Path) -> Path:
    return outside(folder, location="gone.bin")


@hostile_place("no plain file")
def weights_in_a_pipe(folder: Path) -> Path:
    path = outside(folder, location="pipe")
    os.mkfifo(path.parent / "pipe")
    return path


@hostile_place("behind the end")
def weights_behind_the_end(folder: Path) -> Path:
    return outside(folder, location="weights.bin", offset="4", length="16")


@hostile_place("no number")
def weights_before_the_beginning(folder: Path) -> Path:
    return outside(folder, location="weights.bin", offset="-16")


@hostile_place("16 bytes, but 8 in its file")
def weights_of_another_length(folder: Path) -> Path:
    return outside(folder, location="weights.bin", length="8")


@hostile_place("unknown words")
def weights_by_another_key(folder: Path) -> Path:
    return outside(folder, location="weights.bin", url="http://127.0.0.1/")
