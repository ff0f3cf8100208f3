"""Other forms of what came from an ONNX file."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import load_model_from_string, version_converter

from edgecnn import bundle as bundles
from edgecnn.agreement import derived_atol, parity
from edgecnn.bundle import GOLDEN, Bundle, open_bundle
from edgecnn.data import Dataset, Split
from edgecnn.errors import DataError, InputError, ModelError
from edgecnn.exporting import export
from edgecnn.golden import make_expected, make_golden
from edgecnn.graph import clean, prefix
from edgecnn.predictor import load
from edgecnn.spec import Tolerance, Variant
from tests.conftest import CLASSES, CONTRACT, TinyNet, TypeCommand
from tests.exporting.conftest import contents


@pytest.fixture
def imported(tiny_net: TinyNet, tmp_path: Path) -> Bundle:
    """Give a bundle as importing an ONNX file makes it, without data of its own."""
    return as_imported(tiny_net, tmp_path / "imported")


def as_imported(
    net: TinyNet, folder: Path, batch: int | str = "N", opset: int = 18, **changes: Any
) -> Bundle:
    """Make a bundle of the tiny net as importing its ONNX file makes it."""
    content = net.onnx(preprocessing=False, batch=batch)
    newer = version_converter.convert_version(load_model_from_string(content), opset)
    core = clean.from_bytes(newer.SerializeToString(), where="tiny")
    model = prefix.put_preprocessing_in_front(clean.clean(core), CONTRACT)
    images = net.images[:32]
    exact = net.exact(images)
    variant = Variant(
        "fp32",
        "fp32",
        "onnx",
        ("fp32.onnx",),
        batch=batch if isinstance(batch, int) else "dynamic",
        made_by="edgecnn import",
        golden="fp32.golden.npz",
        tolerances={"logits": Tolerance(atol=derived_atol(exact.astype("f4"), exact))},
    )
    manifest = bundles.new_manifest("imported", CONTRACT, model=None, data=None, environment={})
    files = {
        "fp32.onnx": clean.to_bytes(model),
        "fp32.golden.npz": make_expected(
            {"logits": exact.astype("f4")}, runtime="ort", provider="cpu"
        ),
        GOLDEN: make_golden(images, net.labels[:32], {"logits": exact}, stand_in=True),
    }
    manifest = replace(manifest, variants=(replace(variant, **changes),))
    return bundles.create(folder, manifest, files)


def test_fp32_is_there_already_and_is_proved_again(imported: Bundle) -> None:
    before = contents(imported.folder)
    report = export(imported)
    assert contents(imported.folder) == before
    assert (report.variant, report.original) == ("fp32", "the imported file")
    assert (report.opset, report.stand_in, report.golden_written) == (18, True, False)
    assert report.proof.batches == (1, 2, 3, 7)


def test_other_forms_are_made_of_it(imported: Bundle, tiny_net: TinyNet) -> None:
    export(imported, preprocessing=False)
    export(imported.folder, batch_size=3)
    export(imported.folder, preprocessing=False, batch_size=1)
    after = open_bundle(imported.folder)
    names = [variant.name for variant in after.manifest.variants]
    assert names == ["fp32", "fp32-nchw", "fp32-b3", "fp32-nchw-b1"]
    assert parity(after).verdict.outcome == "pass"
    seen = {}
    for name in names:
        variant = after.variant(name)
        with load(after, variant=name) as predictor:
            seen[name] = str(predictor.session.inputs[0])
            np.testing.assert_allclose(
                predictor.run(tiny_net.images), tiny_net.exact(tiny_net.images), atol=1e-4
            )
        if name != "fp32":
            assert variant.parent == after.parent("fp32.onnx")
            assert variant.made_by.startswith("edgecnn export --")
            assert set(variant.tolerances) == {"logits"}
    assert seen["fp32-nchw"] == "image: float32 [N, 3, 8, 8]"
    assert seen["fp32-b3"] == "pixels: uint8 [3, 8, 8, 3]"
    assert seen["fp32-nchw-b1"] == "image: float32 [1, 3, 8, 8]"


def test_int8_needs_data_and_is_made_with_it(
    imported: Bundle, tiny_net: TinyNet, type_command: TypeCommand
) -> None:
    before = contents(imported.folder)
    with pytest.raises(DataError, match="no data of its own"):
        export(imported, quantize=True)
    assert contents(imported.folder) == before
    images, labels = tiny_net.images, tiny_net.labels
    train, test = Split(images[:80], labels[:80]), Split(images[80:], labels[80:])
    data = Dataset("tiny", "/nowhere/tiny.npz", CLASSES, train, test)
    notes: list[str] = []
    report = export(imported, quantize=True, data=data, duration=0.05, note=notes.append)
    assert report.int8 is not None
    after = open_bundle(imported.folder)
    assert [variant.name for variant in after.manifest.variants] == ["fp32", "int8"]
    assert after.variant("int8").parent == after.parent("fp32.onnx")
    assert any("stand-in" in text for text in notes)
    assert type_command("parity", imported.folder).code == 0


def test_a_fixed_batch_stays_the_one_it_is(tiny_net: TinyNet, tmp_path: Path) -> None:
    fixed = as_imported(tiny_net, tmp_path / "fixed", batch=1)
    assert export(fixed, batch_size=1).variant == "fp32"
    assert export(fixed, preprocessing=False).batch == 1
    with pytest.raises(InputError, match="batches of 1 alone") as caught:
        export(fixed.folder, batch_size=4)
    assert "--batch-size" in caught.value.remedy


def test_its_opset_stays(imported: Bundle, type_command: TypeCommand) -> None:
    done = type_command("export", imported.folder, "--opset", 18)
    assert done.code == 2
    assert "keeps its opset" in done.err
    assert "Leave --opset out" in done.err


def test_of_a_quantized_file_no_fp32_is_made(tiny_net: TinyNet, tmp_path: Path) -> None:
    int8 = as_imported(tiny_net, tmp_path / "int8", name="int8", precision="int8")
    with pytest.raises(InputError, match="made from a quantized ONNX file"):
        export(int8)


def test_what_no_longer_answers_the_golden_outputs_gets_no_other_form(
    tiny_net: TinyNet, tmp_path: Path
) -> None:
    strict = {"logits": Tolerance(atol=1e-12)}
    wrong = as_imported(tiny_net, tmp_path / "wrong", tolerances=strict)
    before = contents(wrong.folder)
    with pytest.raises(ModelError, match="what the imported file does at batch 1"):
        export(wrong, preprocessing=False)
    assert contents(wrong.folder) == before


def test_torch_is_not_needed(imported: Bundle) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from edgecnn.exporting import export\n"
        f"print(export({str(imported.folder)!r}, preprocessing=False).variant)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("fp32-nchw\n", "")
