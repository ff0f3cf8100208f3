"""The guarded first load: what only shows when an engine builds and runs a net."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto

from edgecnn.errors import ModelError, RuntimeCrashed
from edgecnn.graph.gate import check_file
from edgecnn.guard import first_load, let_in, memory_for
from edgecnn.worker import Worker
from tests.conftest import TinyNet
from tests.graph.hostile import model, node

pytest.importorskip("onnxruntime")
MIB = 1 << 20


def saved(folder: Path, content: ModelProto | bytes) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


def test_a_plain_net_is_let_in(tiny_net: TinyNet, tmp_path: Path) -> None:
    path = saved(tmp_path, tiny_net.onnx())
    found = let_in(path)
    assert found.graph.output[0].name == "logits"
    opened = first_load(path, found)
    assert [spec.name for spec in opened.inputs] == ["pixels"]
    assert opened.threads == 1


def test_the_gate_comes_first(tmp_path: Path) -> None:
    path = saved(tmp_path, model(node("Formolate", "x", "y")))
    with pytest.raises(ModelError, match="'Formolate'"):
        let_in(path)


def test_what_the_engine_refuses_is_said_with_the_limits(tmp_path: Path) -> None:
    path = saved(tmp_path, model(node("Det", "x", "y"), shape=(1, 3, 8, 8)))
    found = check_file(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ModelError, match=r"failed in its first load, within 120 s and 2 GiB: ONNX"):
        first_load(path, found)


def hungry(megabytes: int, **arrays: Any) -> ModelProto:
    """Give a net that fills so much memory when it runs, of a size that only running shows."""
    count = node("ReduceSum", "x", "sum", keepdims=0)
    size = [node("Cast", "sum", "whole", to=TensorProto.INT64), node("Add", "whole big", "n")]
    fill = [node("Unsqueeze", "n zero", "size"), node("ConstantOfShape", "size", "c")]
    arrays = {"big": np.int64(megabytes * MIB // 4), "zero": np.array([0])}
    return model(
        count, *size, *fill, node("ReduceMax", "c", "m"), node("Add", "x m", "y"), **arrays
    )


def test_memory_that_only_running_asks_for_is_limited(tmp_path: Path) -> None:
    path = saved(tmp_path, hungry(300))
    found = check_file(path)
    first_load(path, found, memory=600 * MIB)
    says = r"failed in its first load, within 120 s and 100 MiB"
    with pytest.raises(RuntimeCrashed, match=says):
        first_load(path, found, memory=100 * MIB)


def test_time_that_only_running_takes_is_limited(tmp_path: Path) -> None:
    names = ["a", *(f"c{number}" for number in range(500))]
    steps = [node("MatMul", f"{one} a", two) for one, two in itertools.pairwise(names)]
    nodes = [node("Expand", "x size", "a"), *steps, node("ReduceMax", names[-1], "y")]
    path = saved(tmp_path, model(*nodes, shape=(1, 1), size=np.array([1500, 1500])))
    found = check_file(path)
    with pytest.raises(RuntimeCrashed, match=r"within 2 s .*: .* hung: no answer within 2 s"):
        first_load(path, found, seconds=2)


def test_weights_count_towards_the_memory(tmp_path: Path, tiny_net: TinyNet) -> None:
    small = check_file(saved(tmp_path, tiny_net.onnx()))
    weights = np.zeros((1000, 1000), np.float32)
    large = check_file(
        saved(tmp_path, model(node("MatMul", "x w", "y"), shape=(1, 1000), w=weights))
    )
    assert memory_for(large, tmp_path) - memory_for(small, tmp_path) > 3 * weights.nbytes


def test_a_workers_limit_leaves_it_alive(tmp_path: Path) -> None:
    from edgecnn.runtime import plain_file

    path = saved(tmp_path, hungry(300))
    inputs = {"x": np.zeros((1, 3, 8, 8), np.float32)}
    with Worker(memory_limit=100 * MIB) as worker:
        worker.open(plain_file(str(path)), threads=1)
        with pytest.raises(RuntimeCrashed, match=r"allocate|memory"):
            worker.outputs(inputs)
        assert worker.usage().resident_bytes > 0
