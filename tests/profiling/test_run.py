"""`edgecnn profile` on real sessions: sums, peaks that are kept, what is printed and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import edgecnn
from edgecnn.bundle import Bundle
from edgecnn.disk import cache_folder
from edgecnn.errors import InputError, UnavailableError
from edgecnn.profiling import ProfileReport
from edgecnn.profiling.peaks import find_peaks
from edgecnn.profiling.report import Peaks, VariantProfile
from edgecnn.reports import Report, read_body, read_report
from edgecnn.runtime import check_available
from tests.conftest import TinyNet, TypeCommand

MakeBundle = Callable[..., Bundle]
QUICK = ("--threads", 1, "--duration", "200ms")


def peaks() -> Peaks:
    return find_peaks("ort", "cpu", 1, check_available("ort").versions, {})


@pytest.fixture(scope="module")
def bundle(session_bundle: MakeBundle) -> Bundle:
    return session_bundle("profiled")


@pytest.fixture(scope="module")
def profiled(bundle: Bundle) -> tuple[ProfileReport, Report]:
    kept: list[Report] = []
    report = edgecnn.profile(bundle, threads=1, duration=0.3, keep=kept.append)
    return report, kept[-1]


def test_times_sum_to_the_run(profiled: tuple[ProfileReport, Report]) -> None:
    for each in profiled[0].variants:
        inside = sum(one.seconds for one in each.operators)
        assert each.operators_seconds == pytest.approx(inside)
        whole = inside + each.call_seconds + each.unattributed_seconds
        assert whole == pytest.approx(each.latency_seconds)
        assert sum(each.bounds.values()) == pytest.approx(inside)
        assert sum(one.share for one in each.operators) == pytest.approx(
            inside / each.latency_seconds
        )


def test_a_small_net_is_timed_without_the_profile(profiled: tuple[ProfileReport, Report]) -> None:
    for each in profiled[0].variants:
        assert each.timing == "prefixes"
        assert each.clock_seconds == 0
        assert each.runs >= 20


def layers(profile: VariantProfile) -> dict[str, int]:
    return {name: one.macs or 0 for one in profile.operators for name in one.layers}


def test_each_variant_has_its_layers(profiled: tuple[ProfileReport, Report]) -> None:
    report = profiled[0]
    assert [each.variant for each in report.variants] == ["fp32", "int8"]
    for each in report.variants:
        assert sum(one.macs or 0 for one in each.operators) == 6 * 27 * 36 + 6 * 4
        assert "means" in layers(each)
    reasons = {each.reason for each in report.variants[1].unfused}
    assert "its result is used in float in the file" in reasons


def test_the_report_is_read_back(profiled: tuple[ProfileReport, Report], tmp_path: Path) -> None:
    report, kept = profiled
    assert kept.kind == "profile"
    assert set(kept.measured) == {"fp32.onnx", "int8.onnx"}
    assert read_body(kept, ProfileReport) == report


def test_peaks_are_kept_and_measured_anew_where_they_are_damaged() -> None:
    first = peaks()
    assert [each.what for each in first.arithmetic] == ["fp32", "int8"]
    assert all(each.rate > 1e8 for each in first.arithmetic)
    assert first.memory[-1].what == "DRAM"
    assert 0 < first.dispatch_seconds < first.call_seconds
    again = peaks()
    assert again.cached
    assert replace(again, cached=first.cached) == first
    for path in cache_folder().glob("peaks-*.json"):
        path.write_text(path.read_text()[:-40])
    assert not peaks().cached


def test_it_prints_a_table_and_keeps_a_report(
    make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    bundle = make_bundle()
    done = type_command("profile", bundle.folder, *QUICK, "--top", 3)
    assert done.code == 0, done.err
    for text in ("peaks", "Gop/s", "GB/s", "bound by", "other operators", "not attributed"):
        assert text in done.out
    assert "Python and the engine" in done.out
    (path,) = (bundle.folder / "reports").iterdir()
    assert f"Report: {path}" in done.err
    assert [each.variant for each in body(path).variants] == ["fp32", "int8"]


def body(path: Path) -> ProfileReport:
    return read_body(read_report(path), ProfileReport)


def test_json_is_one_document(tiny_net: TinyNet, tmp_path: Path, type_command: TypeCommand) -> None:
    path, output = tmp_path / "net.onnx", tmp_path / "profile.json"
    path.write_bytes(tiny_net.onnx())
    done = type_command("profile", path, *QUICK, "--json", "--output", output)
    assert done.code == 0, done.err
    assert json.loads(done.out) == json.loads(output.read_text())
    (found,) = body(output).variants
    assert found.variant == "net.onnx"


def test_all_operators_are_shown_where_all_are_asked_for(
    tiny_net: TinyNet, tmp_path: Path, type_command: TypeCommand
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_net.onnx())
    done = type_command("profile", path, *QUICK, "--top", 0)
    assert "other operators" not in done.out
    assert "The report is not kept" in done.err


def test_a_runtime_that_times_no_operators_is_refused(bundle: Bundle) -> None:
    with pytest.raises(UnavailableError, match="'reference' does not time its operators"):
        edgecnn.profile(bundle, runtime="reference")


def test_wrong_requests_are_refused(bundle: Bundle) -> None:
    with pytest.raises(InputError, match="cannot be measured"):
        edgecnn.profile(bundle, duration=0)
    with pytest.raises(InputError, match="is profiled on its golden images"):
        edgecnn.profile(bundle, input_shapes={"x": (1, 3)})
    with pytest.raises(InputError, match="ONNX files have no variants"):
        edgecnn.profile("net.onnx", variants=["fp32"])
