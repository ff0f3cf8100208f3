from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import edgecnn
from edgecnn import bundle as bundles
from edgecnn.agreement import Comparison, ParityReport
from edgecnn.errors import BundleError, InputError, UnavailableError
from edgecnn.reports import make_report, read_body
from edgecnn.spec import Tolerance

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle
    from tests.conftest import MakeBundle, TinyNet


def with_one_weight_changed(net: TinyNet, by: float) -> TinyNet:
    matrix = net.matrix.copy()
    matrix[1, 2] += by
    return replace(net, matrix=matrix)


def only(found: ParityReport, name: str, against: str, runtime: str = "ort") -> Comparison:
    (comparison,) = [
        each
        for each in found.comparisons
        if (each.name, each.against, each.runtime) == (name, against, runtime)
    ]
    return comparison


def outcomes(found: ParityReport) -> list[tuple[str, str, str]]:
    return [(each.name, each.against, each.verdict.outcome) for each in found.comparisons]


def test_a_sound_bundle_passes(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    bundle = make_bundle()
    found = edgecnn.parity(bundle.folder, threads=1)
    assert found.verdict.outcome == "pass"
    assert outcomes(found) == [
        ("fp32", "golden", "pass"),
        ("fp32", "own golden", "pass"),
        ("int8", "golden", "pass"),
        ("int8", "own golden", "pass"),
    ]
    assert (found.inputs, found.seed, found.images) == ("golden vectors", None, 32)
    assert found.measured == {
        name: bundle.files[name].sha256 for name in ("golden.npz", "fp32.onnx", "int8.onnx")
    }
    agreement = only(found, "int8", "golden").agreement
    with edgecnn.load(bundle, variant="int8", threads=1) as predictor:
        error = predictor.run(tiny_net.images[:32]) - tiny_net.exact(tiny_net.images[:32])
    assert agreement.max_abs == pytest.approx(np.abs(error).max())
    assert agreement.mean_abs == pytest.approx(np.abs(error).mean())


def test_a_report_comes_back_where_outputs_are_equal(make_bundle: MakeBundle) -> None:
    found = edgecnn.parity(make_bundle().folder, threads=1)
    assert math.isinf(only(found, "fp32", "own golden").agreement.sqnr_db)
    report = make_report(ParityReport.KIND, found, found.measured)
    assert read_body(report, ParityReport) == found


def test_one_changed_weight_fails(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    broken = with_one_weight_changed(tiny_net, by=0.01)
    found = edgecnn.parity(make_bundle(files={"fp32": broken.onnx()}), threads=1)
    assert found.verdict.outcome == "fail"
    assert outcomes(found)[:3] == [
        ("fp32", "golden", "fail"),
        ("fp32", "own golden", "pass"),
        ("int8", "golden", "pass"),
    ]
    assert found.verdict.reasons[0].startswith("fp32 on ort/cpu against golden: the largest error")


def test_a_file_changed_since_fails_against_its_own_outputs(
    make_bundle: MakeBundle, tiny_net: TinyNet
) -> None:
    bundle = make_bundle(variants=("fp32",))
    broken = with_one_weight_changed(tiny_net, by=0.01)
    changed = bundles.extend(bundle, {"fp32.onnx": broken.onnx()}, bundle.variant("fp32"))
    assert {outcome for *_, outcome in outcomes(edgecnn.parity(changed))} == {"fail"}


def test_a_changed_weight_within_tolerance_passes(
    make_bundle: MakeBundle, tiny_net: TinyNet
) -> None:
    broken = with_one_weight_changed(tiny_net, by=1e-6)
    assert edgecnn.parity(make_bundle(files={"fp32": broken.onnx()})).verdict.outcome == "pass"


def test_a_flipped_bit_is_a_damaged_bundle(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",))
    for name in ("fp32.onnx", "golden.npz", "fp32.golden.npz"):
        file = bundle.folder / name
        whole = file.read_bytes()
        file.write_bytes(whole[:-20] + bytes([whole[-20] ^ 4]) + whole[-19:])
        with pytest.raises(BundleError, match=f"{name} is not the file that was written"):
            edgecnn.parity(bundle)
        file.write_bytes(whole)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_not_finite_fail(
    make_bundle: MakeBundle, tiny_net: TinyNet, value: float
) -> None:
    bias = np.array([0, 0, value, 0], np.float32)
    broken = replace(tiny_net, bias=bias)
    found = edgecnn.parity(make_bundle(variants=("fp32",), files={"fp32": broken.onnx()}))
    assert found.verdict.reasons[0] == (
        "fp32 on ort/cpu against golden: 32 of 32 images are answered with NaN or infinity."
    )
    (gate,) = only(found, "fp32", "golden").gates
    assert (gate.name, gate.value, gate.passed) == ("finite", 32, False)
    worst = only(found, "fp32", "golden").worst[0]
    assert (worst.error, worst.answer) == (math.inf, "")


def tolerance(bundle: Bundle, name: str, **limits: Any) -> Bundle:
    return bundles.change_variant(
        bundle, name, lambda v: replace(v, tolerances={"logits": Tolerance(**limits)})
    )


@pytest.mark.parametrize(
    ("limits", "outcome", "gate"),
    [
        ({"atol": 0.2}, "pass", "error"),
        ({"atol": 0.01}, "fail", "error"),
        ({"sqnr_db": 40}, "pass", "sqnr"),
        ({"sqnr_db": 50}, "fail", "sqnr"),
        ({"top1": 1.0}, "pass", "top1"),
    ],
)
def test_each_tolerance_is_a_gate(
    make_bundle: MakeBundle, limits: dict[str, float], outcome: str, gate: str
) -> None:
    found = edgecnn.parity(tolerance(make_bundle(), "int8", **limits), ["int8"])
    comparison = only(found, "int8", "golden")
    assert comparison.verdict.outcome == outcome
    assert [each.name for each in comparison.gates] == [gate]


def test_other_decisions_fail_the_top1_gate(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    broken = with_one_weight_changed(tiny_net, by=3.0)
    bundle = tolerance(make_bundle(files={"fp32": broken.onnx()}), "fp32", top1=0.99)
    comparison = only(edgecnn.parity(bundle, ["fp32"]), "fp32", "golden")
    assert comparison.verdict.outcome == "fail"
    assert "of the answers agree, and at least 99.0 % are needed" in comparison.verdict.reasons[0]
    wrong = [image for image in comparison.worst if image.answer != image.expected_answer]
    assert wrong
    assert {image.answer for image in wrong} <= set(bundle.manifest.contract.labels)


def test_the_worst_images_come_first(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    bundle = make_bundle()
    comparison = only(edgecnn.parity(bundle, ["int8"], worst=32), "int8", "golden")
    exact = tiny_net.exact(tiny_net.images[:32])
    with edgecnn.load(bundle, variant="int8") as predictor:
        errors = np.abs(predictor.run(tiny_net.images[:32]) - exact)
    order = np.argsort(-errors.max(axis=1))
    assert [image.index for image in comparison.worst] == order.tolist()
    worst, place = comparison.worst[0], errors[order[0]].argmax()
    assert worst.error == pytest.approx(errors.max())
    assert worst.expected_output == pytest.approx(exact[order[0], place])
    assert worst.output == pytest.approx(worst.expected_output, abs=2 * worst.error)
    assert worst.expected_answer == bundle.manifest.contract.labels[exact[order[0]].argmax()]


def test_given_tolerances_replace_the_derived(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    assert edgecnn.parity(bundle, atol=0.2).verdict.outcome == "pass"
    assert edgecnn.parity(bundle, ["int8"], atol=1e-3).verdict.outcome == "fail"
    assert edgecnn.parity(bundle, ["int8"], rtol=1e9).verdict.outcome == "pass"
    assert edgecnn.parity(bundle, ["fp32"], rtol=0).verdict.outcome == "fail"
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match=f"atol={wrong} is no tolerance"):
            edgecnn.parity(bundle, atol=wrong)
        with pytest.raises(InputError, match=f"rtol={wrong} is no tolerance"):
            edgecnn.parity(bundle, rtol=wrong)


def test_no_tolerance_no_verdict(make_bundle: MakeBundle) -> None:
    found = edgecnn.parity(tolerance(make_bundle(), "int8"))
    assert found.verdict.outcome == "inconclusive"
    assert "int8 on ort/cpu against golden: no tolerance" in found.verdict.reasons[0]


def test_promised_bits_are_held(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    bundle = tolerance(make_bundle(), "int8", sqnr_db=20, bit_exact=True)
    assert only(edgecnn.parity(bundle, ["int8"]), "int8", "own golden").gates[0].name == "bits"
    nudged = with_one_weight_changed(tiny_net, by=1e-5).onnx("int8")
    changed = bundles.extend(bundle, {"int8.onnx": nudged}, bundle.variant("int8"))
    found = edgecnn.parity(changed, ["int8"])
    assert only(found, "int8", "golden").verdict.outcome == "pass"
    own = only(found, "int8", "own golden").verdict
    assert own.outcome == "fail"
    assert "images are not equal bit for bit" in own.reasons[0]


def test_another_engine_promises_no_bits(make_bundle: MakeBundle) -> None:
    bundle = tolerance(make_bundle(), "int8", sqnr_db=20, bit_exact=True)
    found = edgecnn.parity(bundle, ["int8"], runtime="reference")
    own = only(found, "int8", "own golden", "reference")
    assert [gate.name for gate in own.gates] == ["sqnr"]
    assert own.verdict.outcome == "pass"


def test_engines_are_compared_with_the_first(make_bundle: MakeBundle) -> None:
    found = edgecnn.parity(make_bundle(), runtime=("ort", "reference"))
    assert found.verdict.outcome == "pass"
    assert len(found.comparisons) == 10
    crossed = only(found, "int8", "ort/cpu", "reference")
    assert crossed.agreement.max_abs < only(found, "int8", "golden").agreement.max_abs / 100


BROKEN_RUNTIME = '''
"""A runtime that adds a little to every output."""
from edgecnn.shelves import load_runtime

ort = load_runtime("ort")
NAME, FORMATS, PROVIDERS, availability = "mine", ort.FORMATS, ort.PROVIDERS, ort.availability


class Session:
    def __init__(self, session):
        self._session, self.provider = session, session.provider
        self.inputs, self.outputs = session.inputs, session.outputs
        self.close, self.prepare = session.close, session.prepare

    def run(self, inputs):
        return {name: value + 0.001 for name, value in self._session.run(inputs).items()}


def open_session(variant, **asked):
    return Session(ort.open_session(variant, **asked))
'''


def test_a_runtime_that_is_off_fails(make_bundle: MakeBundle, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "runtime.py").write_text(BROKEN_RUNTIME)
    bundle = make_bundle()
    found = edgecnn.parity(bundle, ["fp32"], runtime=("ort", str(mine)))
    assert outcomes(found) == [
        ("fp32", "golden", "pass"),
        ("fp32", "own golden", "pass"),
        ("fp32", "golden", "fail"),
        ("fp32", "own golden", "fail"),
        ("fp32", "ort/cpu", "fail"),
    ]
    file = bundle.folder / "fp32.onnx"
    assert edgecnn.parity(file, runtime=("ort", str(mine))).verdict.outcome == "fail"


def test_variants_against_a_variant(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    found = edgecnn.parity(bundle, against="fp32")
    assert outcomes(found) == [("int8", "fp32", "pass")]
    assert only(found, "int8", "fp32").agreement.sqnr_db == pytest.approx(46.5, abs=1)
    assert edgecnn.parity(bundle, against="int8", atol=1e-3).verdict.outcome == "fail"
    with pytest.raises(InputError, match="only the variant 'fp32'"):
        edgecnn.parity(make_bundle("small", variants=("fp32",)), against="fp32")


def test_a_bundle_against_a_bundle(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    broken = with_one_weight_changed(tiny_net, by=0.01)
    bundle, other = make_bundle("one"), make_bundle("two", files={"fp32": broken.onnx()})
    found = edgecnn.parity(bundle, against=other)
    assert [outcome for *_, outcome in outcomes(found)] == ["fail", "pass"]
    assert edgecnn.parity(bundle, against=bundle.folder).verdict.outcome == "pass"


def test_bundles_of_other_sizes_are_not_compared(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    contract = replace(bundle.manifest.contract, width=9)
    other = replace(bundle, manifest=replace(bundle.manifest, contract=contract))
    with pytest.raises(InputError, match=r"images of 8x8 rgb, .* of 9x8 rgb"):
        edgecnn.parity(bundle, against=other)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("batch", ["N", 1, 8])
def test_a_file_against_a_bundle(
    make_bundle: MakeBundle, tiny_net: TinyNet, tmp_path: Path, inside: bool, batch: int | str
) -> None:
    bundle, file = make_bundle(), tmp_path / "mine.onnx"
    file.write_bytes(tiny_net.onnx(preprocessing=inside, batch=batch))
    found = edgecnn.parity(file, against=bundle)
    assert outcomes(found) == [("mine.onnx", "golden", "pass")]
    assert edgecnn.parity(bundle, ["fp32"], file).verdict.outcome == "pass"
    file.write_bytes(with_one_weight_changed(tiny_net, by=0.01).onnx(preprocessing=inside))
    assert edgecnn.parity(file, against=bundle).verdict.outcome == "fail"
    assert edgecnn.parity(bundle, ["fp32"], file).verdict.outcome == "fail"


def test_saved_outputs(make_bundle: MakeBundle, tiny_net: TinyNet, tmp_path: Path) -> None:
    bundle, file = make_bundle(), tmp_path / "deep" / "outputs.npz"
    edgecnn.parity(bundle, save_outputs=file)
    with np.load(file, allow_pickle=False) as saved:
        assert set(saved) == {
            "images",
            "labels",
            "golden.logits",
            "fp32.ort.cpu.logits",
            "int8.ort.cpu.logits",
        }
        np.testing.assert_array_equal(saved["images"], tiny_net.images[:32])
        with edgecnn.load(bundle, variant="int8") as predictor:
            wanted = predictor.run(tiny_net.images[:32])
        np.testing.assert_array_equal(saved["int8.ort.cpu.logits"], wanted)


def test_what_was_asked_runs_or_stops(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",))
    with pytest.raises(UnavailableError):
        edgecnn.parity(bundle, provider="tpu")
    with pytest.raises(BundleError, match="no variant 'int8'"):
        edgecnn.parity(bundle, ["int8"])
    with pytest.raises(InputError, match="no runtime 'nothing'"):
        edgecnn.parity(bundle, runtime="nothing")


def test_a_stale_variant_is_refused(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    bundle = make_bundle()
    content = with_one_weight_changed(tiny_net, by=1.0).onnx()
    changed = bundles.extend(bundle, {"fp32.onnx": content}, bundle.variant("fp32"))
    with pytest.raises(BundleError, match=r"'int8' .* is stale"):
        edgecnn.parity(changed)


def test_outputs_that_are_no_classes(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",))
    contract = replace(bundle.manifest.contract, output_kind="other")
    other = replace(bundle, manifest=replace(bundle.manifest, contract=contract))
    comparison = only(edgecnn.parity(other), "fp32", "golden")
    assert comparison.agreement.top1 is None
    assert {image.answer for image in comparison.worst} == {""}


def test_every_output_is_held_to_its_own_tolerance(two_headed: Bundle) -> None:
    found = edgecnn.parity(two_headed, runtime=("ort", "reference"))
    assert found.verdict.outcome == "pass"
    assert [(each.name, each.output) for each in found.comparisons[:4]] == [
        ("fp32", "features"),
        ("fp32", "logits"),
        ("fp32", "features"),
        ("fp32", "logits"),
    ]
    shares = {each.output: each.agreement.top1 for each in found.comparisons if each.name == "int8"}
    assert shares["features"] is None  # their largest value is no decision
    assert shares["logits"] is not None
    gates = {
        each.output: [gate.name for gate in each.gates]
        for each in found.comparisons
        if (each.name, each.against, each.runtime) == ("int8", "golden", "ort")
    }
    assert gates == {"features": ["sqnr"], "logits": ["sqnr", "top1"]}


def test_one_output_of_several_that_is_wrong_is_named(two_headed: Bundle) -> None:
    nothing = {"features": Tolerance(atol=0.0), "logits": Tolerance(atol=1e-4)}
    strict = bundles.change_variant(two_headed, "fp32", lambda v: replace(v, tolerances=nothing))
    found = edgecnn.parity(strict, ["fp32"])
    assert [each.verdict.outcome for each in found.comparisons] == ["fail", "pass", "pass", "pass"]
    assert found.verdict.reasons[0].startswith("'features' of fp32 on ort/cpu against golden: ")
    missing = bundles.change_variant(
        two_headed, "fp32", lambda v: replace(v, tolerances={"logits": Tolerance(atol=1e-4)})
    )
    found = edgecnn.parity(missing, ["fp32"])
    assert found.verdict.outcome == "inconclusive"
    assert "'features' of fp32 on ort/cpu against golden: no tolerance" in found.verdict.reasons[0]


def test_a_file_with_several_outputs_against_a_bundle(two_headed: Bundle) -> None:
    found = edgecnn.parity(two_headed.folder / "fp32.onnx", against=two_headed)
    assert [(each.output, each.verdict.outcome) for each in found.comparisons] == [
        ("features", "pass"),
        ("logits", "pass"),
    ]
    against = edgecnn.parity(two_headed, against="fp32")
    assert [(each.output, each.verdict.outcome) for each in against.comparisons] == [
        ("features", "pass"),
        ("logits", "pass"),
    ]
