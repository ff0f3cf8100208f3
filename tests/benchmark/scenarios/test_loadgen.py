"""MLPerf's scenarios, with the real LoadGen."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgecnn.benchmark import BenchReport, bench
from edgecnn.benchmark.engine import Place, Subject
from edgecnn.benchmark.scenarios import LoadGenTest, Material, ScenarioRun, Wanted
from edgecnn.benchmark.scenarios.loadgen import (
    Agreement,
    LoadGenTurn,
    answer_loadgen,
    ask_nothing,
    result,
)
from edgecnn.benchmark.scenarios.loadgen_driver import LoadGenSettings, drive, make_settings
from edgecnn.benchmark.scenarios.loadgen_log import LoadGenLog, read_log
from edgecnn.benchmark.scenarios.loadgen_words import sentences
from edgecnn.benchmark.scenarios.wanted import check, parse_loadgen
from edgecnn.bundle import Bundle
from edgecnn.cli._bench_scenarios import wanted
from edgecnn.cli._bench_show import print_bench
from edgecnn.cli.bench import command
from edgecnn.errors import InputError
from edgecnn.records import from_builtins, to_builtins
from edgecnn.runtime import CheckedSession
from edgecnn.spec import TensorSpec, Variant
from edgecnn.stats import Interval
from edgecnn.worker import Prepared

if TYPE_CHECKING:
    from tests.conftest import TypeCommand

loadgen = pytest.importorskip(
    "mlperf_loadgen", reason="LoadGen is missing: pip install 'edgecnn[mlperf]'"
)

ALL = tuple(map(parse_loadgen, ("single-stream", "multi-stream", "offline", "server")))
STEADY = 1e-5


class _Engine:
    """An engine that notes which samples it was asked for, or fails at one of its calls."""

    provider = "cpu"
    inputs: tuple[TensorSpec, ...] = (TensorSpec("x", "float32", (1,)),)
    outputs: tuple[TensorSpec, ...] = (TensorSpec("y", "float32", (1,)),)

    def __init__(self, fails_at: int = 0) -> None:
        self._fails_at = fails_at
        self.asked: list[float] = []

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(float(inputs["x"][0]))
        if len(self.asked) == self._fails_at:
            raise RuntimeError("enough for today")
        return {"y": inputs["x"]}

    def prepare(self, inputs: Mapping[str, Any]) -> Callable[[], object]:
        return partial(self.run, inputs)

    def close(self) -> None:
        pass


def held(prepared: Prepared, engine: _Engine) -> Prepared:
    batches = [{"x": np.full(1, value, np.float32)} for value in (1, 50, 900)]
    return replace(prepared, session=CheckedSession(engine, "mine", 1), batches=batches)


def settings(scenario: str, seconds: float = 0.02, **changes: Any) -> LoadGenSettings:
    made = make_settings(parse_loadgen(scenario), STEADY, None, seconds)
    return replace(made, **changes)


# ---------------------------------------------------------------- one run


def test_a_query_of_single_stream_is_one_call(prepared: Prepared) -> None:
    turn = answer_loadgen(prepared, settings=settings("single-stream"), replicate=3)
    assert turn.replicate == 3
    assert turn.log.valid
    assert turn.log.version[0].isdigit()
    assert turn.log.samples_per_query == 1
    assert turn.log.queries == len(turn.calls_ns) >= 100
    # Each latency holds its call, so that the middle one is no shorter than theirs.
    assert turn.log.latencies_ns["50"] >= median(turn.calls_ns)
    assert list(turn.log.latencies_ns.values()) == sorted(turn.log.latencies_ns.values())


def test_single_stream_stands_between_calls_of_our_own(prepared: Prepared) -> None:
    turn = answer_loadgen(prepared, settings=settings("single-stream"), replicate=0)
    assert all(len(times) >= 3 for times in turn.own_ns)
    assert len(turn.own_ns) == 2
    assert turn.empty_ns
    assert turn.ratio
    assert turn.net_ratio
    assert turn.net_ratio < turn.ratio


def test_nothing_else_is_timed_in_the_other_scenarios(prepared: Prepared) -> None:
    turn = answer_loadgen(prepared, settings=settings("multi-stream"), replicate=0)
    assert (turn.calls_ns, turn.own_ns, turn.empty_ns) == ([], [], None)
    assert turn.ratio is None


def test_every_sample_of_a_query_is_computed(prepared: Prepared) -> None:
    engine = _Engine()
    turn = answer_loadgen(held(prepared, engine), settings=settings("multi-stream"), replicate=0)
    assert turn.log.samples_per_query == 8
    assert len(engine.asked) == 8 * turn.log.queries


def test_offline_asks_for_all_at_once(prepared: Prepared) -> None:
    engine = _Engine()
    turn = answer_loadgen(held(prepared, engine), settings=settings("offline"), replicate=0)
    assert turn.log.queries == 1
    assert turn.log.samples_per_query == len(engine.asked) > 0.02 / STEADY
    assert turn.log.samples_per_second
    assert turn.log.latencies_ns == {}  # all of them wait for the last


def test_loadgen_says_which_sample_is_computed() -> None:
    def asked(seed: int) -> list[int]:
        found = list[int]()
        drive(settings("single-stream"), [partial(found.append, n) for n in range(3)], seed)
        assert set(found) == {0, 1, 2}
        return found[:100]

    assert asked(0) == asked(0)
    assert asked(0) != asked(1)


def test_server_asks_at_its_rate(prepared: Prepared) -> None:
    engine = _Engine()
    how = settings("server:500", seconds=0.2, bound_seconds=10.0)
    turn = answer_loadgen(held(prepared, engine), settings=how, replicate=0)
    # 100 of them on average; the schedule is drawn from the seed.
    assert 60 <= turn.log.queries == len(engine.asked) <= 150
    assert "performance constraints not satisfied" not in turn.log.reasons


def test_a_bound_that_is_not_kept_is_invalid() -> None:
    how = settings("server:20", seconds=0.2, bound_seconds=0.01)
    _, log = drive(how, [partial(time.sleep, 0.02)], 0)
    assert not log.valid
    assert "performance constraints not satisfied" in log.reasons
    assert "Reduce target QPS to improve latency" in log.reasons


def test_too_few_queries_are_invalid_and_loadgen_says_how_many_it_needs(
    prepared: Prepared,
) -> None:
    how = settings("single-stream", seconds=0.0, fewest_queries=3)
    turn = answer_loadgen(prepared, settings=how, replicate=0)
    assert not turn.log.valid
    (reason,) = turn.log.reasons
    assert "early stopping not satisfied" in reason
    assert "Need to process at least 64 queries" in reason


def test_a_rate_that_is_far_too_high_ends_all_the_same() -> None:
    # Two thousand queries would take 40 s.
    how = settings("server:100000", seconds=0.02)
    times, log = drive(how, [partial(time.sleep, 0.02)], 0)
    assert len(times) < 200
    assert not log.valid
    assert any("Max test duration reached" in reason for reason in log.reasons)


def test_what_fails_says_so_and_loadgen_can_run_again(prepared: Prepared) -> None:
    # Out of a callback of LoadGen an error would bring the process down.
    with pytest.raises(RuntimeError, match="enough for today"):
        answer_loadgen(
            held(prepared, _Engine(fails_at=5)), settings=settings("offline"), replicate=0
        )
    assert ask_nothing(prepared) > 0


def test_nothing_is_left_behind_and_no_file_changes_what_is_asked(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, logs = tmp_path / "here", tmp_path / "logs"
    here.mkdir()
    logs.mkdir()
    (here / "audit.config").write_text("*.*.min_query_count = 777\n")
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(logs))
    how = settings("single-stream", seconds=0.0, fewest_queries=70)
    assert answer_loadgen(prepared, settings=how, replicate=0).log.queries == 70
    assert [file.name for file in here.iterdir()] == ["audit.config"]
    assert list(logs.iterdir()) == []


def test_the_figures_are_those_of_loadgens_own_summary(tmp_path: Path) -> None:
    def answer(query: Any) -> None:
        answers = [loadgen.QuerySampleResponse(sample.id, 0, 0) for sample in query]
        loadgen.QuerySamplesComplete(answers)

    asks, logs = loadgen.TestSettings(), loadgen.LogSettings()
    asks.min_duration_ms, asks.min_query_count = 0, 700
    logs.enable_trace = False
    logs.log_output.outdir = str(tmp_path)
    logs.log_output.copy_summary_to_stdout = False
    system = loadgen.ConstructSUT(answer, lambda: None)
    samples = loadgen.ConstructQSL(1, 1, lambda some: None, lambda some: None)
    loadgen.StartTestWithLogSettings(system, samples, asks, logs, str(tmp_path / "none"))
    summary = (tmp_path / "mlperf_log_summary.txt").read_text()
    log = read_log(tmp_path / "mlperf_log_detail.txt")
    assert log.queries == 700
    for share, nanoseconds in log.latencies_ns.items():
        assert f"{share}.00 percentile latency (ns)   : {nanoseconds}\n" in summary
    assert ("Result is : VALID" in summary) == log.valid


# ---------------------------------------------------------------- what is asked


def test_the_terms_of_server_come_from_the_steady_state() -> None:
    made = make_settings(LoadGenTest("server"), 2e-3, None, 1.0)
    assert made.rate == pytest.approx(250)
    assert made.bound_seconds == pytest.approx(0.02)
    named = make_settings(LoadGenTest("server", 40.0), 2e-3, 0.005, 1.0)
    assert (named.rate, named.bound_seconds) == (40.0, 0.005)


def test_no_more_queries_are_asked_for_than_fit() -> None:
    fewest = {test.scenario: make_settings(test, 0.01, None, 0.5).fewest_queries for test in ALL}
    assert fewest == {"single-stream": 50, "multi-stream": 6, "offline": 1, "server": 25}
    assert make_settings(ALL[0], 1e-5, None, 0.5).fewest_queries == 100
    assert make_settings(ALL[0], 10.0, None, 0.5).fewest_queries == 1


@pytest.mark.parametrize(
    "text", ["", "streaming", "singlestream", "server:", "server:0", "server:x"]
)
def test_what_is_no_scenario_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_loadgen(text)
    assert "server" in refused.value.remedy


def test_only_server_has_a_rate() -> None:
    with pytest.raises(InputError, match="offline has no rate") as refused:
        parse_loadgen("offline:30")
    assert refused.value.remedy == "Write offline, or server:30."


def test_servers_queries_may_have_a_deadline() -> None:
    check(Wanted(loadgen=(LoadGenTest("server"),), deadline_seconds=0.01))
    with pytest.raises(InputError, match="needs something that arrives"):
        check(Wanted(loadgen=(LoadGenTest("offline"),), deadline_seconds=0.01))


def test_the_options_are_read() -> None:
    typed = ["--loadgen", "single-stream, offline", "--loadgen", "Server:12.5"]
    context = command.make_context("bench", typed)
    tests = (LoadGenTest("single-stream"), LoadGenTest("offline"), LoadGenTest("server", 12.5))
    assert wanted(context.params) == Wanted(loadgen=tests)
    assert [str(test) for test in tests] == ["single-stream", "offline", "server:12.5"]


@pytest.mark.parametrize(
    ("scenario", "says"),
    [
        ("streaming", "Use single-stream, multi-stream, offline, server."),
        ("offline:3", "server:3"),
        (",", "it names nothing"),
    ],
)
def test_a_wrong_scenario_is_wrong_usage(
    type_command: TypeCommand, scenario: str, says: str
) -> None:
    done = type_command("bench", "nowhere", "--loadgen", scenario)
    assert (done.code, done.out) == (2, "")
    assert says in " ".join(done.err.split())


WITHOUT = """
import sys
sys.modules["mlperf_loadgen"] = None
from edgecnn.cli import main
main(["bench", sys.argv[1], "--loadgen", "offline"])
"""


def test_without_the_package_nothing_is_measured(session_bundle: Callable[[str], Bundle]) -> None:
    bundle = session_bundle("without")
    ran = [sys.executable, "-c", WITHOUT, str(bundle.folder)]
    done = subprocess.run(ran, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "pip install 'edgecnn[mlperf]'" in done.stderr
    assert not (bundle.folder / "reports").exists()


# ---------------------------------------------------------------- a whole bench


@pytest.fixture(scope="module")
def report(session_bundle: Callable[[str], Bundle]) -> BenchReport:
    return bench(
        session_bundle("loadgen"),
        variants=["fp32"],
        threads=1,
        duration=0.2,
        warmup=3,
        scenarios=Wanted(loadgen=(*ALL, ALL[0])),
    )


def test_each_scenario_is_run_in_each_session(report: BenchReport) -> None:
    found = report.scenarios.loadgen
    assert [row.scenario for row in found] == [test.scenario for test in ALL]
    for row in found:
        assert [turn.replicate for turn in row.turns] == [0, 1, 2, 3]
        assert row.queries == sum(turn.log.queries for turn in row.turns)
        assert row.valid == all(turn.log.valid for turn in row.turns)
        assert bool(row.reasons) != row.valid
        assert "No MLPerf submission" in row.note


def test_the_terms_are_written_down(report: BenchReport) -> None:
    server = report.scenarios.loadgen[-1]
    steady = report.variants[0].median_seconds
    assert steady
    assert server.rate == pytest.approx(0.5 / steady)
    assert server.bound_seconds == pytest.approx(10 * steady)
    assert all(row.rate is None for row in report.scenarios.loadgen[:-1])


def test_only_single_stream_is_compared(report: BenchReport) -> None:
    first, *others = report.scenarios.loadgen
    assert first.agreement
    assert first.agreement.own_seconds > 0
    assert first.agreement.ratio.estimate > first.agreement.net_ratio.estimate
    assert not any(row.agreement for row in others)


def test_it_is_read_back(report: BenchReport) -> None:
    again = from_builtins(BenchReport, to_builtins(report), where="report")
    assert again.scenarios == report.scenarios


def test_it_is_printed_and_fits(report: BenchReport, capsys: pytest.CaptureFixture[str]) -> None:
    print_bench(report)
    printed = capsys.readouterr().out
    assert "Queries of MLPerf's LoadGen" in printed
    assert "No MLPerf submission: each run was asked for" in printed
    assert "samples a second on average, at random, 99 in 100 due within" in printed
    tables = [line.rstrip() for line in printed.splitlines() if "  " in line or "─" in line]
    assert max(map(len, tables)) <= 80


def test_who_has_no_steady_state_is_not_asked() -> None:
    variant = Variant("net", "fp32", "onnx", ("nowhere.onnx",))
    place = Place(str(Path(__file__).parents[2] / "runtimes" / "troubled"), threads=1)
    ones = [{"pixels": np.ones((1, 8, 8, 3), np.uint8)}]
    subjects = [Subject(name, variant, lambda opened: ones, place) for name in ("new", "known")]
    material = Material(subjects, {}, None, batch_size=4, warmup_runs=0)
    run = ScenarioRun(Wanted(loadgen=(ALL[2],)), material)
    soon = time.perf_counter() + 1
    run.go(0.1, lambda text, share: None, soon, steady={"known": 1e-4})
    (row,) = run.report.loadgen
    assert (row.variant, row.images_per_sample) == ("known", 4)


# ---------------------------------------------------------------- what is made of it


def log(median_ns: int, queries: int = 1000, reasons: tuple[str, ...] = ()) -> LoadGenLog:
    latencies = {"50": median_ns, "90": 2 * median_ns, "95": 3 * median_ns, "99": 4 * median_ns}
    return LoadGenLog("6", not reasons, reasons, queries, 1, latencies, 1e9 / median_ns)


def test_the_callback_is_taken_off_and_both_are_kept() -> None:
    turns = [LoadGenTurn(n, log(110), [104], [[90], [100, 100, 900]], 10) for n in range(2)]
    found = result("fp32", settings("single-stream"), turns, 1)
    assert found.agreement
    own = (90 * 100) ** 0.5
    assert found.agreement.own_seconds == pytest.approx(own / 1e9)
    assert found.agreement.call_seconds == pytest.approx(104e-9)
    assert found.agreement.empty_seconds == pytest.approx(10e-9)
    assert found.agreement.ratio.estimate == pytest.approx(110 / own)
    assert found.agreement.net_ratio.estimate == pytest.approx(100 / own)


def test_percentiles_need_their_queries_in_each_run() -> None:
    many, few, fewer = (LoadGenTurn(0, log(100, n), [], [], None) for n in (1000, 298, 20))
    found = result("fp32", settings("multi-stream"), [many, many], 1)
    assert (found.median_seconds, found.p90_seconds, found.p99_seconds) == (1e-7, 2e-7, 4e-7)
    found = result("fp32", settings("multi-stream"), [many, few], 1)
    assert (found.p90_seconds, found.p99_seconds) == (2e-7, None)
    found = result("fp32", settings("multi-stream"), [many, fewer], 1)
    assert (found.median_seconds, found.p90_seconds) == (1e-7, None)


def test_one_invalid_run_makes_it_invalid() -> None:
    reasons = ("too slow", "too few")
    turns = [LoadGenTurn(n, log(1, reasons=r), [], [], None) for n, r in enumerate([(), reasons])]
    found = result("fp32", settings("server"), turns, 1)
    assert not found.valid
    terms, said = sentences(found, 0.02)
    assert terms.startswith("fp32, server: 50,000 samples a second on average")
    assert terms.endswith("99 in 100 due within 0.1 ms")
    assert said == "fp32, server: LoadGen says INVALID of 1 of 2 runs: too slow; too few"


@pytest.mark.parametrize(
    ("ratio", "floor", "says"),
    [
        (1.019, 0.02, "agrees within the noise floor of 2.0 %"),
        (0.981, 0.02, "agrees within the noise floor of 2.0 %"),
        (1.009, 0.001, "agrees within the noise floor of 1.0 %"),
        (1.052, 0.02, "differs by +5.2 %, more than the noise floor of 2.0 %"),
        (0.948, 0.02, "differs by -5.2 %, more than the noise floor of 2.0 %"),
        (1.0, None, "cannot be judged, as this bench is not valid"),
    ],
)
def test_agreement_is_within_the_noise_floor_or_not(
    ratio: float, floor: float | None, says: str
) -> None:
    turns = [LoadGenTurn(n, log(100), [100], [[100], [100]], 1) for n in range(2)]
    found = result("fp32", settings("single-stream"), turns, 1)
    near = Interval(1.2, 1.1, 1.3)
    for whole, net in ((ratio, near), (near, ratio)):
        pair = [
            each if isinstance(each, Interval) else Interval(each, 0.9, 1.1)
            for each in (whole, net)
        ]
        (said,) = sentences(replace(found, agreement=Agreement(1e-4, 1e-4, 1e-6, *pair)), floor)
        assert says in said
