"""What a bundle answers on this machine, and what else cannot be true of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import edgecnn
from edgecnn import bundle as bundles
from edgecnn.bundle import GOLDEN, Bundle
from edgecnn.errors import (
    BundleError,
    EdgeCNNError,
    GateFailed,
    Inconclusive,
    InputError,
    ModelError,
    RuntimeCrashed,
    UnavailableError,
)
from edgecnn.golden import make_expected, make_golden
from edgecnn.spec import Tolerance
from edgecnn.verification import VerifyReport, raise_unless_sound

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet

TROUBLED = str(Path(__file__).parents[1] / "runtimes" / "troubled")


def outcomes(found: VerifyReport) -> list[tuple[str, str, str]]:
    return [(check.name, check.runtime, check.outcome) for check in found.variants]


def raised(found: VerifyReport, kind: type[EdgeCNNError]) -> EdgeCNNError:
    with pytest.raises(kind) as caught:
        raise_unless_sound(found)
    assert caught.value.problem == "\n".join(found.verdict.reasons)
    assert caught.value.remedy
    return caught.value


def test_a_sound_bundle_passes_on_two_engines(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    told: list[tuple[str, float]] = []
    found = edgecnn.verify(
        bundle.folder,
        runtime=("ort", "reference"),
        threads=1,
        progress=lambda what, share: told.append((what, share)),
    )
    raise_unless_sound(found)
    assert found.verdict.outcome == "pass"
    assert outcomes(found) == [
        ("fp32", "ort", "pass"),
        ("fp32", "reference", "pass"),
        ("int8", "ort", "pass"),
        ("int8", "reference", "pass"),
    ]
    assert {each.against for check in found.variants for each in check.comparisons} == {
        "golden",
        "own golden",
    }
    assert (found.inputs, found.images) == ("golden vectors", 32)
    assert found.measured == {name: record.sha256 for name, record in bundle.files.items()}
    assert (found.contradictions, found.notes) == ((), ())
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] < 1


def test_every_output_is_held_to_its_tolerance(two_headed: Bundle) -> None:
    found = edgecnn.verify(two_headed)
    assert found.verdict.outcome == "pass"
    assert [each.output for each in found.variants[0].comparisons[:2]] == ["features", "logits"]
    strict = bundles.change_variant(
        two_headed,
        "int8",
        lambda v: replace(v, tolerances=v.tolerances | {"features": Tolerance(sqnr_db=90)}),
    )
    error = raised(edgecnn.verify(strict, ["int8"]), GateFailed)
    assert error.problem.startswith("'features' of int8 on ort/cpu against golden: the SQNR is ")


def test_wrong_answers_fail(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    broken = replace(tiny_net, bias=tiny_net.bias + np.float32(0.5))
    found = edgecnn.verify(make_bundle(files={"fp32": broken.onnx()}))
    assert [outcome for *_, outcome in outcomes(found)] == ["fail", "pass"]
    assert "the largest error is 0.5" in raised(found, GateFailed).problem


def test_a_crash_is_a_row_and_the_rest_goes_on(make_bundle: MakeBundle) -> None:
    changes = {"fp32": {"settings": {"what": "segfault"}}}
    found = edgecnn.verify(make_bundle(changes=changes), runtime=(TROUBLED, "ort"))
    assert [outcome for *_, outcome in outcomes(found)] == ["crashed", "pass", "fail", "pass"]
    assert "crashed (SIGSEGV)" in found.variants[0].problem
    # The other variant ran there, and its answers have another shape.
    assert "cannot be compared" in found.variants[2].problem
    raised(found, GateFailed)
    raised(edgecnn.verify(found.bundle, ["fp32"], runtime=TROUBLED), RuntimeCrashed)


def test_what_is_not_here_is_unavailable(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",))
    found = edgecnn.verify(bundle, provider="tpu")
    assert outcomes(found) == [("fp32", "ort", "unavailable")]
    raised(found, UnavailableError)
    with pytest.raises(InputError, match="no runtime 'ortt'"):
        edgecnn.verify(bundle, runtime="ortt")
    with pytest.raises(BundleError, match="no variant 'int8'"):
        edgecnn.verify(bundle, ["int8"])


def test_a_file_that_no_engine_takes_is_refused(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",))
    junk = bundles.extend(bundle, {"fp32.onnx": b"no graph"}, bundle.variant("fp32"))
    found = edgecnn.verify(junk)
    assert outcomes(found) == [("fp32", "ort", "refused")]
    raised(found, ModelError)


def test_a_stale_variant_is_not_run(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    bundle = make_bundle()
    other = replace(tiny_net, bias=tiny_net.bias + np.float32(1e-6)).onnx()
    stale = bundles.extend(bundle, {"fp32.onnx": other}, bundle.variant("fp32"))
    for run in (True, False):
        found = edgecnn.verify(stale, run=run)
        assert found.variants[1].outcome == "stale"
        assert found.variants[1].comparisons == ()
        assert "is stale: fp32.onnx changed" in raised(found, BundleError).problem


def test_a_damaged_variant_leaves_the_others_to_be_run(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    (bundle.folder / "int8.golden.npz").write_bytes(b"cut short")
    found = edgecnn.verify(bundle)
    assert [outcome for *_, outcome in outcomes(found)] == ["pass", "damaged"]
    raised(found, BundleError)
    alone = edgecnn.verify(bundle, ["fp32"])
    assert alone.verdict.outcome == "pass"
    assert {file.name for file in alone.files} == {"fp32.onnx", "fp32.golden.npz", GOLDEN}
    assert alone.notes[0] == "Only the files of fp32 and the golden vectors were checked."


def test_without_variants_nothing_is_proved(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=())
    found = edgecnn.verify(bundle)
    assert (found.inputs, found.images, found.verdict.outcome) == ("", 0, "inconclusive")
    assert "has no variant yet" in raised(found, Inconclusive).problem
    assert edgecnn.verify(bundle, run=False).verdict.outcome == "pass"


def test_without_golden_vectors_nothing_is_proved(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",))
    files = {name: bundle.read(name) for name in ("fp32.onnx", "fp32.golden.npz")}
    bare = bundles.create(bundle.folder, bundle.manifest, files, force=True)
    raised(edgecnn.verify(bare), Inconclusive)


def test_no_tolerance_is_no_pass(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",), changes={"fp32": {"tolerances": {}}})
    assert "no tolerance" in raised(edgecnn.verify(bundle), Inconclusive).problem


def regilded(bundle: Bundle, net: TinyNet, **changes: Any) -> Bundle:
    images, labels = net.images[:8], net.labels[:8]
    values: dict[str, Any] = {"labels": labels, "outputs": {"logits": net.exact(images)}} | changes
    files = {name: bundle.read(name) for name in bundle.files if name != GOLDEN}
    files[GOLDEN] = make_golden(images, values["labels"], values["outputs"])
    return bundles.create(bundle.folder, bundle.manifest, files, force=True)


def test_labels_and_outputs_that_cannot_be_contradict(
    make_bundle: MakeBundle, tiny_net: TinyNet
) -> None:
    bundle, exact = make_bundle(variants=("fp32",)), tiny_net.exact(tiny_net.images[:8])
    beyond = np.full(8, 4)
    spoiled = exact.copy()
    spoiled[3, 1] = np.nan
    for changes, problem in (
        ({"labels": beyond}, "labels go beyond the 4 classes"),
        ({"outputs": {"logits": spoiled}}, "'logits' holds NaN or infinity"),
        ({"outputs": {"logits": exact[:, :3]}}, r"names 4 classes, but the golden outputs are [3]"),
        ({"outputs": {"scores": exact}}, "a tolerance for 'logits', which is no golden output"),
    ):
        found = edgecnn.verify(regilded(bundle, tiny_net, **changes), run=False)
        (text,) = found.contradictions
        assert problem in text
        raised(found, BundleError)
    assert edgecnn.verify(regilded(bundle, tiny_net), run=False).verdict.outcome == "pass"


def test_a_contract_for_another_net_contradicts(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",))
    contract = replace(bundle.manifest.contract, output="scores")
    files = {name: bundle.read(name) for name in bundle.files}
    manifest = replace(bundle.manifest, contract=contract)
    other = bundles.create(bundle.folder, manifest, files, force=True)
    (text,) = edgecnn.verify(other, run=False).contradictions
    assert "names the output 'scores', which is no golden output" in text


def test_golden_files_that_are_none_contradict(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",))
    files = {name: bundle.read(name) for name in bundle.files}
    other = bundles.create(bundle.folder, bundle.manifest, files | {GOLDEN: b"no"}, force=True)
    found = edgecnn.verify(other, run=False)
    assert "cannot be read as golden vectors" in found.contradictions[0]
    own = make_expected({"logits": np.zeros((5, 4), np.float32)}, runtime="ort", provider="cpu")
    files["fp32.golden.npz"] = own
    short = bundles.create(bundle.folder, bundle.manifest, files, force=True)
    assert outcomes(edgecnn.verify(short)) == [("fp32", "ort", "fail")]


def test_the_manifest_is_read_anew(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",))
    path = bundle.folder / bundles.MANIFEST
    path.write_bytes(path.read_bytes().replace(b'"circle"', b'"circus"'))
    with pytest.raises(BundleError, match="is damaged or was edited"):
        edgecnn.verify(bundle)
