"""`edgecnn export`: what is written, what is proved, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import bundle as bundles
from edgecnn import disk
from edgecnn.agreement import parity
from edgecnn.bundle import GOLDEN, Bundle, open_bundle
from edgecnn.data import Dataset, Split
from edgecnn.errors import BundleError, DataError, InputError, ModelError
from edgecnn.exporting import export
from edgecnn.exporting.exact import exact_outputs
from edgecnn.golden import golden
from edgecnn.nets import rebuild
from edgecnn.predictor import load
from edgecnn.spec import Parent, Variant
from tests.conftest import TinyNet, TypeCommand
from tests.exporting.conftest import CONTRACT, MakeNet, contents

FLATTENS = "return self.fc(x.mean((2, 3))).squeeze()"
MERGES = "y = x.mean((2, 3)).reshape(-1, 12); return self.fc(torch.cat((y[:, :6], y[:, 6:]), 0))"
LIES = "return self.fc(x.mean((2, 3))) + torch.compiler.is_exporting()"
OVERFLOWS = "return self.fc(x.mean((2, 3))) * 1e200 * 1e200"


def test_what_is_written_is_loaded_agrees_and_is_recorded(
    make_net: MakeNet, pictures: Dataset
) -> None:
    bundle = make_net()
    report = export(bundle, data=pictures)
    after = open_bundle(bundle.folder)
    assert set(after.files) == {"weights.safetensors", "fp32.onnx", "fp32.golden.npz", GOLDEN}
    variant = after.variant("fp32")
    assert (variant.preprocessing, variant.batch, variant.precision) == (True, "dynamic", "fp32")
    assert variant.parent == Parent(
        "weights.safetensors", after.files["weights.safetensors"].sha256
    )
    assert variant.made_by == "edgecnn export"
    assert variant.tolerances["logits"].atol == report.proof.outputs["logits"].atol
    assert report.proof.batches == (1, 2, 3, 7)
    assert report.proof.images == 32
    assert report.golden_written
    assert (report.sha256, report.size) == (
        after.files["fp32.onnx"].sha256,
        after.files["fp32.onnx"].size,
    )
    with load(after) as predictor:
        [pixels], [logits] = predictor.session.inputs, predictor.session.outputs
        assert str(pixels) == "pixels: uint8 [N, 8, 8, 3]"
        assert str(logits) == "logits: float32 [N, 4]"
    assert parity(after).verdict.outcome == "pass"


def test_golden_vectors_are_balanced_test_images_with_float64_outputs(
    exported: Bundle, pictures: Dataset
) -> None:
    bundle = exported
    vectors = golden(bundle)
    assert np.bincount(vectors.labels).tolist() == [8, 8, 8, 8]
    test = {image.tobytes() for image in pictures.test.images}
    assert all(image.tobytes() in test for image in vectors.images)
    exact = exact_outputs(rebuild(bundle), CONTRACT, vectors.images)
    np.testing.assert_array_equal(vectors.outputs["logits"], exact["logits"])


def test_float64_outputs_are_the_textbooks(tiny_net: TinyNet) -> None:
    import torch
    from torch import nn

    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    ).eval()
    weights = (tiny_net.filters, tiny_net.matrix, tiny_net.bias)
    names = ("0.weight", "4.weight", "4.bias")
    net.load_state_dict({n: torch.from_numpy(w) for n, w in zip(names, weights, strict=True)})
    found = exact_outputs(net, CONTRACT, tiny_net.images)
    np.testing.assert_allclose(
        found["logits"], tiny_net.exact(tiny_net.images), rtol=1e-12, atol=1e-12
    )


def test_the_other_forms_stand_beside_fp32(exported: Bundle, pictures: Dataset) -> None:
    bundle = exported
    export(bundle.folder, preprocessing=False, batch_size=3)
    export(bundle.folder, batch_size=1)
    after = open_bundle(bundle.folder)
    names = [variant.name for variant in after.manifest.variants]
    assert names == ["fp32", "fp32-nchw-b3", "fp32-b1"]
    plain = after.variant("fp32-nchw-b3")
    assert (plain.preprocessing, plain.batch) == (False, 3)
    assert plain.made_by == "edgecnn export --no-preprocessing --batch-size 3"
    with load(after, variant="fp32-nchw-b3") as predictor:
        assert str(predictor.session.inputs[0]) == "input: float32 [3, 3, 8, 8]"
        outputs = predictor.run(pictures.test.images)
    with load(after) as predictor:
        np.testing.assert_allclose(outputs, predictor.run(pictures.test.images), atol=1e-5)
    assert parity(after).verdict.outcome == "pass"


def with_int8(bundle: Bundle) -> Bundle:
    int8 = Variant(
        "int8",
        "int8",
        "onnx",
        ("int8.onnx",),
        parent=bundle.parent("fp32.onnx"),
        made_by="edgecnn quantize",
    )
    return bundles.extend(bundle, {"int8.onnx": b"stands for int8"}, int8)


def test_int8_is_stale_only_if_the_bytes_it_came_from_changed(
    exported: Bundle,
) -> None:
    bundle = with_int8(exported)
    before = contents(bundle.folder)
    assert export(bundle.folder).stale == ()
    assert contents(bundle.folder) == before
    open_bundle(bundle.folder).locate("int8")
    assert export(bundle.folder, opset=19).stale == ("int8",)
    after = open_bundle(bundle.folder)
    assert [variant.name for variant in after.manifest.variants] == ["fp32", "int8"]
    with pytest.raises(BundleError, match="stale"):
        after.locate("int8")


def test_golden_vectors_never_change_and_other_data_is_not_dropped_in_silence(
    exported: Bundle, pictures: Dataset
) -> None:
    bundle = exported
    before = contents(bundle.folder)[GOLDEN]
    other = Split(pictures.test.images[:, ::-1].copy(), pictures.test.labels)
    notes: list[str] = []
    export(bundle.folder, data=replace(pictures, test=other), note=notes.append)
    assert contents(bundle.folder)[GOLDEN] == before
    assert "golden vectors already" in notes[0]


@pytest.mark.parametrize(
    ("forward", "why"),
    [
        (FLATTENS, "batch 1:"),
        (MERGES, "does not compute what torch does at batch 1"),
        (LIES, "output differs"),
        (OVERFLOWS, "NaN or infinity"),
        ("return self.fc(x.mean((2, 3))), x.mean((0, 2, 3))", "first axis of every output"),
        ("return self.fc(x.mean((2, 3))), 3", "int among its outputs"),
    ],
    ids=["squeezes", "merges", "lies", "overflows", "means over images", "a number"],
)
def test_what_is_not_right_gets_no_name(
    make_net: MakeNet, pictures: Dataset, forward: str, why: str
) -> None:
    bundle = make_net(forward)
    before = contents(bundle.folder)
    with pytest.raises(ModelError) as caught:
        export(bundle, data=pictures)
    assert why in str(caught.value)
    assert "\n" not in caught.value.problem
    assert contents(bundle.folder) == before


def test_a_net_that_only_batch_1_breaks_can_have_a_fixed_batch(
    make_net: MakeNet, pictures: Dataset
) -> None:
    bundle = make_net(FLATTENS)
    assert export(bundle, data=pictures, batch_size=4).proof.batches == (4,)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(
    make_net: MakeNet, pictures: Dataset, value: float
) -> None:
    def spoil(state: Any) -> None:
        state["fc.weight"][2, 3] = value

    bundle = make_net(change=spoil)
    with pytest.raises(ModelError, match=r"'fc\.weight' .* NaN or infinity"):
        export(bundle, data=pictures)


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        ({"opset": 16}, "--opset"),
        ({"opset": 24}, "--opset"),
        ({"batch_size": 0}, "--batch-size"),
        ({"max_drop": 0.01}, "--quantize"),
        ({"calibration_samples": 4}, "--quantize"),
        ({"duration": 1.0}, "--quantize"),
    ],
)
def test_impossible_arguments_are_refused_with_the_flag(
    make_net: MakeNet, arguments: dict[str, Any], flag: str
) -> None:
    with pytest.raises(InputError) as caught:
        export(make_net(), **arguments)
    assert flag in str(caught.value)


def test_without_test_images_there_is_nothing_to_prove_it_on(
    make_net: MakeNet, pictures: Dataset
) -> None:
    empty = Split(pictures.test.images[:0], pictures.test.labels[:0])
    with pytest.raises(DataError, match="empty") as caught:
        export(make_net(), data=replace(pictures, test=empty))
    assert "--data" in caught.value.remedy


def test_golden_vectors_that_the_net_no_longer_gives_are_refused(
    make_net: MakeNet, pictures: Dataset
) -> None:
    helper = "import builtins; return self.fc(x.mean((2, 3))) * getattr(builtins, 'factor', 1)"
    bundle = make_net(helper)
    export(bundle, data=pictures)
    import builtins

    builtins.factor = 2  # type: ignore[attr-defined]
    try:
        with pytest.raises(ModelError, match="no longer gives the golden outputs"):
            export(bundle.folder)
    finally:
        del builtins.factor  # type: ignore[attr-defined]


def test_weights_changed_on_disk_are_refused(make_net: MakeNet, pictures: Dataset) -> None:
    bundle = make_net()
    path = bundle.folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    with pytest.raises(BundleError, match="SHA-256"):
        export(bundle, data=pictures)


def test_a_bundle_made_anew_meanwhile_is_refused(make_net: MakeNet, pictures: Dataset) -> None:
    bundle = make_net()

    def retrain(what: str, share: float) -> None:
        if what.startswith("Checking"):
            weights = bundle.read("weights.safetensors") + b" "
            manifest = replace(bundle.manifest, files=None)
            bundles.create(bundle.folder, manifest, {"weights.safetensors": weights}, force=True)

    with pytest.raises(BundleError, match="changed by another process"):
        export(bundle, data=pictures, progress=retrain)
    assert open_bundle(bundle.folder).manifest.variants == ()


def test_a_second_writer_is_refused(make_net: MakeNet, pictures: Dataset) -> None:
    bundle = make_net()
    before = contents(bundle.folder)
    with disk.locked(bundle.folder), pytest.raises(BundleError, match="being written"):
        export(bundle, data=pictures)
    after = contents(bundle.folder)
    assert {name: after[name] for name in before} == before


def test_what_comes_next_is_for_the_bundle_that_was_named(
    exported: Bundle, type_command: TypeCommand
) -> None:
    done = type_command("export", exported.folder, "--threads", 1)
    assert done.code == 0
    assert done.out.endswith(f"Next: edgecnn quantize {exported.folder}\n")


CHILD = """
import resource, signal, sys
from edgecnn.cli import main
limit = int(sys.argv[1])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for name in sys.argv[3:]:
    sys.modules[name] = None
main(["export", sys.argv[2]])
"""


def child(bundle: Bundle, temporary: Path, limit: int = 0, *hidden: str) -> subprocess.Popen[str]:
    temporary.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(limit), str(bundle.folder), *hidden],
        env={**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_full_disk_changes_nothing(exported: Bundle, tmp_path: Path) -> None:
    before = contents(exported.folder)
    process = child(exported, tmp_path / "temporary", 1000)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (2, "")
    assert "could not be written" in errors
    assert contents(exported.folder) == before


def test_ctrl_c_in_the_middle_changes_nothing(exported: Bundle, tmp_path: Path) -> None:
    before = contents(exported.folder)
    temporary = tmp_path / "temporary"
    process = child(exported, temporary)
    maps = Path(f"/proc/{process.pid}/maps")
    deadline = time.monotonic() + 60
    while "libtorch_cpu" not in maps.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (130, "")
    assert "Interrupted" in errors
    assert contents(exported.folder) == before
    assert not list(temporary.iterdir())


def test_a_missing_package_is_named_with_what_installs_it(exported: Bundle, tmp_path: Path) -> None:
    process = child(exported, tmp_path / "temporary", 0, "onnxscript")
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (3, "")
    assert "onnxscript" in errors
    assert "pip install 'edgecnn[train]'" in errors
