"""`--min-ort`: what is written is read by a real older ONNX Runtime, which answers the same."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.bundle import Bundle, open_bundle
from edgecnn.data import Dataset
from edgecnn.errors import InputError, ModelError
from edgecnn.exporting import export
from edgecnn.golden import expected, golden
from edgecnn.graph import clean
from edgecnn.graph.lowering import lower_opset
from edgecnn.inspection import inspect
from edgecnn.quantization import quantize
from tests.conftest import TinyNet, TypeCommand
from tests.exporting.conftest import MakeNet, contents
from tests.exporting.test_from_onnx import as_imported
from tests.wheels import Environment, environment

OLD = "1.16.3"
_PROGRAM = Path(__file__).parent / "programs" / "run_old.py"


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """Give ONNX Runtime 1.16.3, which is older than IR 10, opset 20 and NumPy 2."""
    if sys.version_info[:2] > (3, 11):
        pytest.skip(f"onnxruntime {OLD} has wheels up to Python 3.11")
    folder = tmp_path_factory.mktemp("old")
    with environment(folder, f"onnxruntime=={OLD}", "numpy==1.26.4") as found:
        yield found


def run_old(old: Environment, bundle: Bundle, variant: str, folder: Path) -> NDArray[Any]:
    images, outputs = folder / "images.npy", folder / "outputs.npy"
    np.save(images, golden(bundle).images)
    done = old.python(_PROGRAM, bundle.locate(variant).path, images, outputs)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == OLD
    found: NDArray[Any] = np.load(outputs)
    return found


def assert_near(found: NDArray[Any], bundle: Bundle, variant: str) -> None:
    error = np.abs(found - golden(bundle).outputs["logits"]).max()
    assert error <= (bundle.variant(variant).tolerances["logits"].atol or 0)


@pytest.mark.wheels
def test_an_older_runtime_answers_as_this_one(
    old: Environment, make_net: MakeNet, pictures: Dataset, tmp_path: Path
) -> None:
    report = export(
        make_net(),
        data=pictures,
        min_ort="1.16",
        quantize=True,
        threads=1,
        calibration_samples=32,
        selection_samples=16,
        duration=0.1,
    )
    assert report.int8 is not None
    assert report.int8.bit_exact
    bundle = open_bundle(report.bundle)
    fp32, int8 = bundle.variant("fp32"), bundle.variant("int8")
    assert fp32.settings["min_ort"] == "1.16"
    assert fp32.made_by == "edgecnn export --min-ort 1.16"
    found = run_old(old, bundle, "fp32", tmp_path)
    assert_near(found, bundle, "fp32")
    np.testing.assert_array_equal(
        run_old(old, bundle, "int8", tmp_path), expected(bundle, int8).outputs["logits"]
    )


@pytest.mark.wheels
def test_what_is_not_lowered_is_refused_by_it(
    old: Environment, exported: Bundle, tmp_path: Path
) -> None:
    export(exported, opset=21)
    bundle = open_bundle(exported.folder)
    done = old.python(_PROGRAM, bundle.locate("fp32").path, tmp_path / "none", tmp_path / "none")
    assert done.returncode != 0
    assert "Unsupported model IR version: 10" in done.stderr
    assert str(inspect(bundle).variants[0].ort) == "ONNX Runtime 1.18 and newer (IR 10, opset 21)"


@pytest.mark.wheels
def test_a_newer_file_of_a_users_own_gets_a_form_that_it_reads(
    old: Environment, tiny_net: TinyNet, tmp_path: Path
) -> None:
    bundle = as_imported(tiny_net, tmp_path / "imported", opset=21)
    before = contents(bundle.folder)["fp32.onnx"]
    report = export(bundle, min_ort="1.16.3")
    after = open_bundle(bundle.folder)
    variant = after.variant("fp32-ort1.16.3")
    assert (report.variant, report.opset, report.ir_version) == (variant.name, 19, 9)
    assert variant.made_by == "edgecnn export --min-ort 1.16.3"
    assert contents(after.folder)["fp32.onnx"] == before
    found = run_old(old, after, variant.name, tmp_path)
    assert_near(found, after, variant.name)


def test_int8_of_a_lowered_form_is_lowered_too(
    tiny_net: TinyNet, pictures: Dataset, tmp_path: Path
) -> None:
    bundle = as_imported(tiny_net, tmp_path / "imported", opset=21)
    export(bundle, min_ort="1.16")
    quantize(
        open_bundle(bundle.folder),
        variant="fp32-ort1.16",
        data=pictures,
        threads=1,
        calibration_samples=16,
        selection_samples=8,
        duration=0.1,
    )
    oldest = {each.variant.name: each.ort for each in inspect(bundle.folder).variants}
    assert {name: found.oldest for name, found in oldest.items() if found} == {
        "fp32": "1.18",
        "fp32-ort1.16": "1.16",
        "int8-ort1.16": "1.16",
    }


def test_a_file_that_it_reads_stays_as_it_is(tiny_net: TinyNet, tmp_path: Path) -> None:
    bundle = as_imported(tiny_net, tmp_path / "imported")
    before = contents(bundle.folder)
    assert export(bundle, min_ort="1.16").variant == "fp32"
    assert contents(bundle.folder) == before


@pytest.mark.parametrize("version", ["1.99", "abc", "0.5", "1", "1.16.3.1"])
def test_a_release_that_is_not_known_is_refused(
    exported: Bundle, version: str, type_command: TypeCommand
) -> None:
    before = contents(exported.folder)
    done = type_command("export", exported.folder, "--min-ort", version)
    assert done.code == 2
    assert "Name one from 1.15 to 1." in done.err
    assert contents(exported.folder) == before


def test_an_opset_that_it_does_not_read_is_refused(exported: Bundle) -> None:
    before = contents(exported.folder)
    with pytest.raises(InputError, match=r"ONNX Runtime 1.16 reads no opset 21") as refusal:
        export(exported, opset=21, min_ort="1.16")
    assert "--opset 19" in refusal.value.remedy
    assert contents(exported.folder) == before


def test_an_operator_that_older_opsets_lack_is_refused(tiny_net: TinyNet) -> None:
    import onnx_ir as ir

    model = clean.from_bytes(tiny_net.onnx(), where="tiny")
    model.opset_imports[""] = 22
    first = model.graph[0]
    added = ir.node("Swish", [first.outputs[0]])
    model.opset_imports[""] = 24
    first.outputs[0].replace_all_uses_with(added.outputs[0])
    added.replace_input_with(0, first.outputs[0])
    model.graph.insert_after(first, added)
    with pytest.raises(
        ModelError, match=r"tiny cannot be written with opset 19: it has Swish\."
    ) as refusal:
        lower_opset(model, 19, where="tiny")
    assert "--min-ort" in refusal.value.remedy
