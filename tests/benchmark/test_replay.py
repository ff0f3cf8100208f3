"""A report measured again: the same files, the same settings, and a verdict."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgecnn.benchmark import BenchReport, bench, replay
from edgecnn.benchmark.replay import compare
from edgecnn.benchmark.replayed import another_machine, differences, hold, judge
from edgecnn.benchmark.scenarios import Wanted
from edgecnn.benchmark.scenarios.report import ScenarioReport
from edgecnn.cli._bench_replay import replay_code
from edgecnn.errors import InputError
from edgecnn.machine import this_machine
from edgecnn.records import to_json
from edgecnn.reporting.markdown import bench_summary
from edgecnn.reports import make_report, read_body, read_report
from edgecnn.stats import Interval
from tests.benchmark.test_figures import made_up

if TYPE_CHECKING:
    from edgecnn.reports import Report
    from tests.conftest import MakeBundle, TypeCommand

MACHINE = this_machine()


def around(middle: float, half: float) -> Interval:
    return Interval(middle, middle / (1 + half), middle * (1 + half))


@pytest.mark.parametrize(
    ("now", "half", "floor", "outcome"),
    [
        (1.0, 0.01, 0.01, "reproduced"),
        (1.03, 0.01, 0.01, "reproduced"),
        (1 / 1.03, 0.01, 0.01, "reproduced"),
        (1.05, 0.02, 0.01, "inconclusive"),
        (1.0, 0.10, 0.01, "inconclusive"),
        (1.10, 0.01, 0.01, "not reproduced"),
        (1 / 1.10, 0.01, 0.01, "not reproduced"),
        (1.07, 0.005, 0.09, "reproduced"),
    ],
)
def test_a_figure_is_reproduced_if_its_whole_interval_is(
    now: float, half: float, floor: float, outcome: str
) -> None:
    found = hold("fp32", around(1e-3, half), around(now * 1e-3, half), floor)
    assert found.outcome == outcome
    assert found.ratio.estimate == pytest.approx(now)
    assert found.ratio.high / found.ratio.estimate == pytest.approx((1 + half) ** 2**0.5)


def test_one_that_is_not_reproduced_decides() -> None:
    same = hold("a", around(1, 0.01), around(1, 0.01), 0)
    other = hold("b", around(1, 0.01), around(1.5, 0.01), 0)
    unsure = hold("c", around(1, 0.2), around(1, 0.2), 0)
    assert judge([same], [], elsewhere=False)[0] == "reproduced"
    assert judge([same, unsure], [], elsewhere=False)[0] == "inconclusive"
    outcome, reasons = judge([same, unsure, other], [], elsewhere=False)
    assert outcome == "not reproduced"
    assert "b: not reproduced; now it takes 1.500 times as long" in reasons[2]
    assert judge([same], ["Now: noise."], elsewhere=False) == ("inconclusive", ("Now: noise.",))
    assert judge([other], [], elsewhere=True)[0] == "another machine"
    assert judge([], [], elsewhere=False)[0] == "inconclusive"


def test_what_makes_another_machine() -> None:
    assert not another_machine(MACHINE, replace(MACHINE, name="b", python="3.9", system="Linux 1"))
    for change in ({"cpu": "Z80"}, {"cores": 99}, {"allowed_cores": 99}, {"features": ()}):
        assert another_machine(MACHINE, replace(MACHINE, **change))
    found = differences(MACHINE, replace(MACHINE, python="3.9"), ({"onnxruntime": "1"}, {}))
    assert found == (
        f"python: {MACHINE.python} before, 3.9 now",
        "onnxruntime: 1 before, none now",
    )


def wrapped(body: BenchReport) -> Report:
    return make_report("bench", body, {})


def test_two_runs_are_compared() -> None:
    before = made_up()
    assert _outcome(before, before) == ("reproduced", 0)
    assert _outcome(before, made_up(1.3)) == ("not reproduced", 1)
    noisy = replace(before, valid=False, reasons=("noise",))
    assert _outcome(before, noisy) == ("inconclusive", 5)
    assert _outcome(noisy, before) == ("inconclusive", 5)
    gone = replace(before, samples=replace(before.samples, blocks=()))
    assert _outcome(before, gone) == ("inconclusive", 5)


def test_scenarios_that_are_not_measured_again_are_told() -> None:
    plain = made_up()
    before = replace(plain, scenarios=ScenarioReport(wanted=Wanted(idle=(1.0,))))
    for earlier, told in ((plain, ()), (before, ("scenarios: measured before, not measured now",))):
        found = compare(wrapped(earlier), earlier, plain)
        assert found.replay is not None
        assert found.replay.differences == told


def _outcome(before: BenchReport, now: BenchReport) -> tuple[str, int]:
    found = compare(wrapped(before), before, now)
    assert found.replay is not None
    if found.replay.outcome == "inconclusive":
        assert {one.outcome for one in found.replay.variants} <= {"inconclusive"}
    return found.replay.outcome, replay_code(found)


def test_another_machine_gets_no_verdict() -> None:
    before = made_up()
    report = replace(wrapped(before), machine=replace(MACHINE, cpu="Z80"))
    found = compare(report, before, before)
    assert found.replay is not None
    assert found.replay.outcome == "another machine"
    assert found.replay.differences == (f"cpu: Z80 before, {MACHINE.cpu} now",)
    summary = bench_summary(report, found)
    assert summary.startswith("### edgecnn bench --replay: another machine\n")
    assert "no verdict is given between two machines." in summary
    assert "Different: cpu: Z80 before" in summary
    assert {one.outcome for one in found.replay.variants} == {"inconclusive"}
    assert replay_code(found) == 5


def test_a_report_is_measured_again(
    make_bundle: MakeBundle, type_command: TypeCommand, tmp_path: Path
) -> None:
    folder = make_bundle(variants=("fp32",)).folder
    quick = ("--threads", 1, "--iterations", 40, "--warmup", 3)
    type_command("bench", folder, *quick)
    (path,) = (folder / "reports").iterdir()
    first = read_body(read_report(path), BenchReport)
    done = type_command("bench", "--replay", path)
    assert done.code in (0, 1, 5), done
    assert done.out.splitlines()[-1] in {"REPRODUCED", "NOT REPRODUCED", "INCONCLUSIVE"}
    (again,) = {*(folder / "reports").iterdir()} - {path}
    second = read_body(read_report(again), BenchReport)
    assert second.replay is not None
    assert (second.plan, second.setup) == (first.plan, first.setup)
    assert [one.variant for one in second.replay.variants] == ["fp32"]
    refused = type_command("bench", "--replay", path, "--threads", 2)
    assert (refused.code, refused.out) == (2, "")
    assert "leave --threads out" in refused.err
    moved = tmp_path / "moved.json"
    moved.write_bytes(path.read_bytes())
    assert "lies in no bundle" in type_command("bench", "--replay", moved).err
    gone = type_command("bench", "--replay", tmp_path / "gone.json")
    assert (gone.code, "gone.json cannot be read" in gone.err) == (2, True)


def test_what_was_measured_is_named_where_it_is_not_found(
    make_bundle: MakeBundle, tmp_path: Path
) -> None:
    bundle, path = make_bundle(), tmp_path / "report.json"
    before = made_up()
    path.write_bytes(to_json(wrapped(before)))
    with pytest.raises(InputError, match="measured beside old, which is not there") as refused:
        replay(path, bundle)
    assert "--baseline" in refused.value.remedy
    of_files = replace(before, baseline=None, setup=replace(before.setup, inputs="random inputs"))
    path.write_bytes(to_json(wrapped(of_files)))
    for model in ((), bundle):
        with pytest.raises(InputError) as refused:
            replay(path, model)
        names = shlex.join(row.variant for row in before.variants)
        assert f"`edgecnn bench {names} --replay" in refused.value.remedy


def test_other_files_are_not_measured_again(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle(variants=("fp32",))
    kept: list[Report] = []
    bench(bundle, threads=1, iterations=5, warmup=1, keep=kept.append)
    path = tmp_path / "report.json"
    path.write_bytes(to_json(replace(kept[-1], measured={"fp32.onnx": "0" * 64})))
    with pytest.raises(InputError, match=r"fp32\.onnx: not what .* measured"):
        replay(path, bundle)
    data = json.loads(to_json(kept[-1]))
    data["body"]["setup"]["inputs"] = "mine.npz"
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"measured on mine\.npz"):
        replay(path, [bundle.folder / "fp32.onnx"])
    path.write_bytes(to_json(make_report("eval", {}, {})))
    with pytest.raises(InputError, match="a report of `eval`"):
        replay(path, bundle)


def test_a_report_does_not_say_which_code_to_run(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle(variants=("fp32",))
    kept: list[Report] = []
    bench(bundle, threads=1, iterations=5, warmup=1, keep=kept.append)
    (tmp_path / "runtime.py").write_text("raise SystemExit('was run')\n")
    data = json.loads(to_json(kept[-1]))
    data["body"]["setup"]["runtime"] = str(tmp_path)
    path = tmp_path / "report.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"which is none of .*ort"):
        replay(path, bundle)
