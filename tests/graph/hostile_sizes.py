"""Files that would take more than a machine has."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from onnx import (
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
)

from tests.graph.hostile import (
    hostile,
    in_steps,
    model,
    node,
)


def filled(size: int, *more: NodeProto, **arrays: Any) -> ModelProto:
    """Put a tensor `c` of so many zeros before more nodes."""
    return model(node("ConstantOfShape", "size", "c"), *more, size=np.array([size]), **arrays)


@hostile("'c' of 4 GiB")
def four_gigabytes_of_nothing() -> ModelProto:
    return filled(2**30, node("ReduceMax", "c", "m"), node("Add", "x m", "y"))


@hostile("beyond 2,147,483,648")
def an_exabyte_of_nothing() -> ModelProto:
    return filled(2**60, node("ReduceMax", "c", "m"), node("Add", "x m", "y"))


@hostile("'y' of .* GiB")
def expanded() -> ModelProto:
    return model(node("Expand", "x size", "y"), size=np.array([10**7, 3, 8, 8]))


@hostile("'y' of .* GiB")
def tiled() -> ModelProto:
    return model(node("Tile", "x times", "y"), times=np.array([10**6, 1, 10, 10]))


@hostile("beyond 2,147,483,648")
def tiled_until_it_overflows() -> ModelProto:
    return model(node("Tile", "x times", "y"), times=np.array([1, 1, 2**61, 1]))


@hostile("'r' of .* GiB")
def a_range_of_ten_to_the_twelve() -> ModelProto:
    ends: dict[str, Any] = {"a": np.int64(0), "b": np.int64(10**12), "step": np.int64(1)}
    cast = node("Cast", "r", "f", to=TensorProto.FLOAT)
    rest = (cast, node("ReduceMax", "f", "m"), node("Add", "x m", "y"))
    return model(node("Range", "a b step", "r"), *rest, **ends)


@hostile("'y' of .* GiB")
def enlarged() -> ModelProto:
    scales = np.array([1, 1, 1e5, 1e5], np.float32)
    return model(helper.make_node("Resize", ["x", "", "scales"], ["y"]), scales=scales)


@hostile("'y' of .* GiB")
def padded() -> ModelProto:
    sides = np.array([0, 0, 10**5, 10**5, 0, 0, 0, 0])
    return model(node("Pad", "x sides", "y"), sides=sides)


@hostile("'y' of .* GiB")
def padded_by_a_pool() -> ModelProto:
    sides = [10**5] * 4
    return model(node("MaxPool", "x", "y", kernel_shape=[2, 2], pads=sides))


@hostile("of .* GiB")
def hot_encoded() -> ModelProto:
    hot = node("OneHot", "i depth ends", "o")
    rest = (node("ReduceMax", "o", "m"), node("Add", "x m", "y"))
    ends = np.array([0, 1], np.float32)
    return model(hot, *rest, i=np.arange(900), depth=np.int64(10**6), ends=ends)


@hostile("of 1.5 GiB")
def doubled_thirty_times() -> ModelProto:
    return model(*in_steps(lambda a, b: node("Concat", f"{a} {a}", b, axis=0), 30))


@hostile("axes, of which 12 are allowed")
def axes_doubled_thirty_times() -> ModelProto:
    cast = node("Cast", "x", "t0", to=TensorProto.INT64)
    names = [f"t{number}" for number in range(31)]
    chain = [node("Gather", f"{a} {a}", b) for a, b in itertools.pairwise(names)]
    return model(cast, *chain, node("Cast", "t30", "y", to=TensorProto.FLOAT))


@hostile("of 2 GiB")
def a_shape_doubled_thirty_times() -> ModelProto:
    names = [f"t{number}" for number in range(31)]
    chain = [node("Concat", f"{a} {a}", b, axis=0) for a, b in itertools.pairwise(names)]
    return model(node("Shape", "x", "t0"), *chain, node("Expand", "x t30", "y"))


@hostile("for its activations at .* at batch 1")
def many_that_live_at_once() -> ModelProto:
    wide = [node("Expand", "x size", f"w{number}") for number in range(40)]
    joined = node("Sum", " ".join(f"w{number}" for number in range(40)), "y")
    return model(*wide, joined, size=np.array([100_000, 3, 8, 8]))


@hostile("for its activations at .* at batch 1")
def many_that_are_computed_beforehand() -> ModelProto:
    made, last = [], "x"
    for number in range(40):
        made.append(node("ConstantOfShape", "size", f"c{number}"))
        made.append(node("ReduceMax", f"c{number}", f"m{number}"))
        made.append(node("Add", f"{last} m{number}", f"a{number}"))
        last = f"a{number}"
    return model(*made, node("Relu", last, "y"), size=np.array([2**25]))


@hostile("contradicts itself at 'y' \\(MatMul\\)")
def a_contradiction() -> ModelProto:
    return model(node("MatMul", "x w", "y"), w=np.zeros((5, 2), np.float32))
