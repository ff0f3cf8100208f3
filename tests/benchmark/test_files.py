"""Plain ONNX files, measured with ONNX Runtime: what they run on is said wherever a figure is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import edgecnn
from edgecnn.errors import InputError, ModelError
from edgecnn.reports import Report
from edgecnn.spec import TensorSpec
from tests.plain.graphs import taking

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet, TypeCommand

QUICK: dict[str, Any] = {"threads": 1, "iterations": 4, "warmup": 1}
TYPED = ("--threads", 1, "--iterations", 4, "--warmup", 1, "--no-cold-start")
X = TensorSpec("x", "float32", ("N", 4))


def two_files(net: TinyNet, folder: Path) -> list[Path]:
    """Write fp32 and int8 under one file name."""
    paths = []
    for precision in ("fp32", "int8"):
        path = folder / precision / "net.onnx"
        path.parent.mkdir()
        path.write_bytes(net.onnx(precision))
        paths.append(path)
    return paths


def test_files_are_measured_as_variants_are(tiny_net: TinyNet, tmp_path: Path) -> None:
    kept: list[Report] = []
    report = edgecnn.bench(two_files(tiny_net, tmp_path), keep=kept.append, **QUICK)
    rows = [(row.variant, row.precision) for row in report.variants]
    assert rows == [("fp32/net.onnx", "fp32"), ("int8/net.onnx", "int8")]
    (compared,) = report.comparisons
    assert (compared.first, compared.second) == ("fp32/net.onnx", "int8/net.onnx")
    assert report.setup.batch_size == 1
    assert report.setup.inputs == "random inputs"
    assert report.setup.images == "8 random inputs (seed 0), in turn in 8 batches of 1"
    assert set(kept[-1].measured) == {"fp32/net.onnx", "int8/net.onnx"}
    assert min(row.calls for row in report.variants) >= 4


def test_files_may_take_different_inputs(tmp_path: Path) -> None:
    one = taking(tmp_path / "one.onnx", TensorSpec("x", "float32", (3, 4)))
    other = taking(tmp_path / "two.onnx", TensorSpec("a", "int64", ("N", "M")), X)
    report = edgecnn.bench(
        [one.variant.path, other.variant.path], input_shapes={"a": (3, 2)}, **QUICK
    )
    assert report.setup.batch_size == 3
    assert report.setup.images == "24 random inputs (seed 0), in turn in 8 batches of 3"
    with pytest.raises(InputError, match=r"one\.onnx has no input 'b'; it has x"):
        edgecnn.bench([one.variant.path, other.variant.path], input_shapes={"b": (3, 2)}, **QUICK)
    with pytest.raises(InputError, match=r"two\.onnx takes batches of 2, not 3"):
        edgecnn.bench([one.variant.path, other.variant.path], input_shapes={"a": (2, 2)}, **QUICK)


def test_what_cannot_be_measured_is_refused(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle, path = make_bundle(), taking(tmp_path / "x.onnx", X).variant.path
    with pytest.raises(InputError, match="have no variants"):
        edgecnn.bench(path, variants=["fp32"])
    with pytest.raises(InputError, match="on its golden images") as caught:
        edgecnn.bench(bundle, input_shapes={"pixels": (1, 8, 8, 3)})
    assert "--input-shape" in caught.value.remedy
    with pytest.raises(InputError, match="named twice"):
        edgecnn.bench([path, path])
    with pytest.raises(InputError, match=r"no file .*absent"):
        edgecnn.bench(tmp_path / "absent.onnx")
    with pytest.raises(InputError, match="No file is named"):
        edgecnn.bench([])
    path.write_text("no model")
    with pytest.raises(ModelError, match="is no ONNX file"):
        edgecnn.bench(path)


def test_typed_with_random_inputs(
    tiny_net: TinyNet, tmp_path: Path, type_command: TypeCommand
) -> None:
    done = type_command("bench", *two_files(tiny_net, tmp_path), *TYPED)
    assert done.code in (0, 5)
    assert "inputs    8 random inputs (seed 0)" in done.out
    assert "batch 1, random inputs" in done.out
    assert "Compared, block by block, random inputs" in done.out
    assert "int8/net.onnx /" in done.out
    assert "The report is not kept" in done.err
    assert "--output" in done.err


def test_typed_with_inputs_of_ones_own(tmp_path: Path, type_command: TypeCommand) -> None:
    path = taking(tmp_path / "x.onnx", TensorSpec("x", "float32", ("N", 4, "W"))).variant.path
    other = taking(tmp_path / "y.onnx", TensorSpec("y", "float32", (1, 4, 2))).variant.path
    inputs, output = tmp_path / "real.npz", tmp_path / "report.json"
    np.savez(inputs, x=np.ones((5, 4, 2), np.float32))
    given = ("--inputs", inputs, "--output", output, "--json")
    done = type_command("bench", path, other, *given, *TYPED)
    assert done.code in (0, 5)
    document = json.loads(done.out)
    assert document == json.loads(output.read_text())
    assert document["body"]["setup"]["inputs"] == "real.npz"
    said = "5 of real.npz, in turn in 5 batches of 1"
    assert document["body"]["setup"]["images"] == (
        f"x.onnx: {said}; y.onnx: {said}; y.onnx calls its inputs otherwise: x into y."
    )
    assert done.err.endswith(f"Report: {output}\n")
    open_ones = type_command("bench", path, *TYPED)
    assert (open_ones.code, open_ones.out) == (2, "")
    assert "leaves W open" in open_ones.err


def test_what_is_typed_wrongly(
    make_bundle: MakeBundle, tmp_path: Path, type_command: TypeCommand
) -> None:
    folder, path = make_bundle().folder, taking(tmp_path / "x.onnx", X).variant.path
    for arguments, problem in (
        ((path, folder), "name one bundle, or files alone"),
        ((folder, folder), "Only one bundle"),
        ((path, "--variant", "fp32"), "have no variants"),
        ((path, "--input-shape", "x"), "is no shape of an input"),
        ((tmp_path / "absent.onnx",), "There is no file"),
        ((tmp_path / "absent",), "does not exist"),
    ):
        done = type_command("bench", *arguments)
        assert (done.code, done.out) == (2, "")
        assert problem in done.err


def test_a_crash_is_exit_4(tmp_path: Path, type_command: TypeCommand) -> None:
    path, mine = taking(tmp_path / "x.onnx", X).variant.path, tmp_path / "mine"
    mine.mkdir()
    (mine / "runtime.py").write_text(CRASHING)
    done = type_command("bench", path, "--runtime", mine, *TYPED)
    assert (done.code, done.out) == (4, "")
    assert "'x.onnx' crashed (SIGSEGV)" in done.err


CRASHING = '''
"""A runtime that crashes on whatever it is to open."""
import ctypes
from edgecnn.shelves import load_runtime

ort = load_runtime("ort")
NAME, FORMATS, PROVIDERS, availability = "mine", ort.FORMATS, ort.PROVIDERS, ort.availability


def open_session(variant, **asked):
    ctypes.string_at(0)
'''
