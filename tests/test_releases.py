"""Which releases of ONNX Runtime read which files."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from onnx import helper

from edgecnn.releases import NEWEST, OLDEST, RELEASES, find_release, support
from edgecnn.runtime import TensorSpec
from tests.conftest import MakeBundle, TypeCommand
from tests.runtimes import graphs


@pytest.mark.parametrize(
    ("ir_version", "opset", "said"),
    [
        (8, 18, "ONNX Runtime 1.15, the oldest that was tried, and newer (IR 8, opset 18)"),
        (9, 20, "ONNX Runtime 1.17 and newer (IR 9, opset 20)"),
        (9, 19, "ONNX Runtime 1.16 and newer (IR 9, opset 19)"),
        (10, 23, "ONNX Runtime 1.24 and newer (IR 10, opset 23)"),
        (10, 19, "ONNX Runtime 1.18 and newer (IR 10, opset 19)"),
        (8, 22, "ONNX Runtime 1.21 and newer (IR 8, opset 22)"),
        (99, 18, f"none up to {NEWEST}, the newest that was tried (IR 99, opset 18)"),
    ],
)
def test_format_and_operators_decide_together(ir_version: int, opset: int, said: str) -> None:
    assert str(support(ir_version, {"onnx": opset})) == said


def test_nothing_is_guessed_of_operators_that_are_no_part_of_onnx() -> None:
    found = support(8, {"onnx": 18, "com.microsoft": 1})
    assert found.oldest == ""
    assert "not known: it has operators of com.microsoft" in str(found)


def test_newer_releases_read_what_older_ones_do() -> None:
    for older, newer in pairwise(RELEASES):
        assert older.ir_version <= newer.ir_version
        assert older.opset <= newer.opset
    assert find_release("1.16") == find_release("1.16.3")
    assert (RELEASES[0].version, RELEASES[-1].version) == (OLDEST, NEWEST)


def test_the_table_holds_for_the_release_that_is_here() -> None:
    import onnxruntime

    here = ".".join(onnxruntime.__version__.split(".")[:2])
    known = {each.version: each for each in RELEASES}
    if here not in known:
        pytest.skip(f"ONNX Runtime {here} is not in the table")
    release = known[here]

    def reads(ir_version: int, opset: int) -> bool:
        spec = TensorSpec("x", "float32", (1, 3))
        # A new opset may be loaded before int8 is computed in it.
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "scale"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale"], ["y"]),
        ]
        scale = {"scale": np.array(0.1, np.float32)}
        model = graphs.model(nodes, (spec,), (TensorSpec("y", "float32", (1, 3)),), scale)
        model.ir_version = ir_version
        model.opset_import[0].version = opset
        try:
            onnxruntime.InferenceSession(
                model.SerializeToString(), providers=["CPUExecutionProvider"]
            )
        except Exception:
            return False
        return True

    assert reads(release.ir_version, 18)
    assert reads(8, release.opset)
    assert not reads(release.ir_version + 1, 18)
    assert not reads(8, release.opset + 1)


def test_inspect_says_it_of_each_variant(
    make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    bundle = make_bundle()
    done = type_command("inspect", bundle.folder, "--compat")
    lines = done.out.splitlines()
    assert done.code == 0
    assert [line.split()[0] for line in lines if line[:1].strip()] == ["fp32", "int8"]
    assert "ONNX Runtime 1.15, the oldest that was tried, and newer" in " ".join(done.out.split())
    assert type_command("inspect", bundle.folder, "--compat", "--code", "python").code == 2
    file = type_command("inspect", bundle.folder / "fp32.onnx", "--compat", "--json")
    (variant,) = json.loads(file.out)["body"]["variants"]
    assert variant["ort"] == {"oldest": "1.15", "because": "IR 8, opset 18", "unknown": ""}
