"""Tuning with the real engine, on candidates whose order is known by construction."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.bundle import Bundle, open_bundle
from edgecnn.deployment import in_words
from edgecnn.errors import GateFailed, InputError
from edgecnn.predictor import load
from edgecnn.records import sha256
from edgecnn.reporting.charts import svg
from edgecnn.reporting.material import collect
from edgecnn.reporting.sections import tuning as section
from edgecnn.tuning import Interrupted, TuneReport, tune
from tests.conftest import CONTRACT, MakeBundle, TinyNet, TypeCommand, bundle_maker
from tests.terminal import type_in_terminal
from tests.tuning.conftest import Wrap

SLOW, FAST = "fp32 on ort, 1 thread", "int8 on ort, 1 thread"


@pytest.fixture(scope="module")
def tuned(
    tiny_net: TinyNet, slow_net: bytes, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Bundle, TuneReport, list[tuple[str, float]]]:
    """A bundle whose fp32 is slow and whose int8 is fast, tuned; and what the user was told."""
    make = bundle_maker(tiny_net, tmp_path_factory.mktemp("tuned"))
    bundle, told = make(files={"fp32": slow_net}), list[tuple[str, float]]()
    report = tune(
        bundle,
        runtimes=("ort",),
        threads=1,
        budget=1.0,
        progress=lambda what, share: told.append((what, share)),
    )
    return open_bundle(bundle.folder), report, told


Tuned = tuple[Bundle, TuneReport, list[tuple[str, float]]]


def test_the_faster_wins_in_a_second_run_of_its_own(tuned: Tuned) -> None:
    _, report, told = tuned
    assert (report.outcome, report.default) == ("faster", SLOW)
    assert report.chosen is not None
    assert report.chosen.startswith(FAST)
    assert report.final is not None
    first = report.final.comparisons[0]
    assert (first.first, first.outcome) == (SLOW, "faster")
    assert first.replicates >= 3
    assert first.ratio < 0.5
    assert len(report.final.samples.sessions) >= 4 * 3
    assert report.rows[0].name == SLOW
    assert all(check.right for check in report.checks)
    assert report.measured.keys() == {"golden.npz", "fp32.onnx", "int8.onnx"}
    assert all(0 <= share <= 1 for _, share in told)
    assert {what.split()[0] for what, _ in told} >= {"Looking", "Do", "opening"}


def test_what_is_best_is_written_down_and_used(tuned: Tuned) -> None:
    bundle, report, _ = tuned
    found = bundle.manifest.deployment
    assert found is not None
    assert in_words(found) == report.chosen
    kept = bundle.folder / "reports" / found.report
    assert sha256(kept.read_bytes()) == found.report_sha256
    assert json.loads(kept.read_bytes())["body"]["chosen"] == report.chosen
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with load(bundle) as predictor:
            assert (predictor.variant.name, predictor.session.threads) == ("int8", 1)
            assert predictor.session.options == found.options
            assert predictor.batch_size == 1


def test_the_page_draws_it(tuned: Tuned) -> None:
    bundle, report, _ = tuned
    found = section.build(collect(bundle))
    assert found is not None
    assert [one.verdict.outcome for one in found.findings] == ["pass"]
    figure = found.values["figure"]
    drawn = svg(figure.chart(720), "tuning", 720, figure.alternative)  # type: ignore[attr-defined]
    assert "second run" in drawn
    assert found.values["verdict"] == report.verdict


def test_slow_wrong_and_crashing_candidates_never_win(
    make_bundle: MakeBundle, wrong_net: bytes, wrap: Wrap
) -> None:
    bundle = make_bundle(files={"int8": wrong_net})
    sleepy, dying = wrap("sleepy", "time.sleep(0.005)"), wrap("dying", "os._exit(3)")
    report = tune(bundle, runtimes=("ort", str(sleepy), str(dying)), threads=1, budget=1.0)
    rows = {row.name: row for row in report.rows}
    assert (report.outcome, report.chosen) == ("no better", SLOW)
    assert rows["fp32 on sleepy, 1 thread"].ratio is not None
    assert rows["fp32 on sleepy, 1 thread"].ratio.estimate > 3
    assert rows[FAST].state == "answers differ"
    assert rows["int8 on sleepy, 1 thread"].state == "answers differ"
    assert rows["fp32 on dying, 1 thread"].state == "failed"
    assert "fp32 on sleepy" in report.verdict
    assert report.final is None
    found = open_bundle(bundle.folder).manifest.deployment
    assert found is not None
    assert (found.variant, found.runtime, found.options) == ("fp32", "ort", {})


def test_a_default_that_answers_wrong_is_no_default(
    make_bundle: MakeBundle, wrong_net: bytes
) -> None:
    bundle = make_bundle(files={"fp32": wrong_net})
    with pytest.raises(GateFailed, match="fp32 on ort, 1 thread, does not answer right"):
        tune(bundle, runtimes=("ort",), threads=1, budget=1.0)
    assert open_bundle(bundle.folder).manifest.deployment is None


def test_ctrl_c_keeps_what_was_measured_and_deploys_nothing(
    make_bundle: MakeBundle, slow_net: bytes
) -> None:
    bundle, told = make_bundle(files={"fp32": slow_net}), list[str]()

    def progress(what: str, share: float) -> None:
        told.append(what)
        # Once after each of four processes is warm, then after each block.
        if sum(each.startswith("Measuring") for each in told) == 5:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stop:
        tune(bundle, runtimes=("ort",), threads=1, budget=1.0, progress=progress)
    report = stop.value.report
    assert report.interrupted
    assert report.chosen is None
    assert [row.replicates for row in report.rows if row.name == FAST] == [1]
    (kept,) = (bundle.folder / "reports").glob("*-tune-*.json")
    assert json.loads(kept.read_bytes())["body"]["interrupted"] is True
    assert open_bundle(bundle.folder).manifest.deployment is None


def test_ctrl_c_on_a_terminal(make_bundle: MakeBundle, slow_net: bytes) -> None:
    bundle = make_bundle(files={"fp32": slow_net})
    flags = ("--runtime", "ort", "--threads", "1", "--budget", "5s")
    shown = type_in_terminal(
        "tune", bundle.folder, *flags, stop_at=lambda text: "Measuring" in text
    )
    assert shown.code == 130
    assert shown.cursor
    assert "The search" in shown.text
    assert "It was interrupted." in shown.text
    assert "Report:" in shown.text
    assert open_bundle(bundle.folder).manifest.deployment is None


def test_the_command_says_what_was_found(
    make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    # Only the default can be tried: nothing is measured, and it is deployed.
    bundle = make_bundle(variants=("fp32",))
    flags = ("--runtime", "ort", "--threads", "1", "--budget", "0.01s")
    done = type_command("tune", bundle.folder, *flags, "--no-store")
    assert done.code == 0
    assert "kept: nothing else could be measured here" in " ".join(done.out.split())
    assert "Deployed" not in done.err
    assert open_bundle(bundle.folder).manifest.deployment is None
    done = type_command("tune", bundle.folder, *flags, "--json")
    assert json.loads(done.out)["body"]["outcome"] == "no better"
    assert "Deployed: fp32 on ort, 1 thread." in done.err
    assert "fp32 on ort, 1 thread; tuned on" in type_command("inspect", bundle.folder).out
    undo = f"edgecnn tune {bundle.folder} --reset"
    assert f"`{undo}` takes that back" in " ".join(done.err.split())
    refused = type_command("tune", bundle.folder, "--reset", "--json")
    assert refused.code == 2
    assert "--reset measures nothing: leave --json out." in refused.err
    done = type_command(*undo.split()[1:])
    assert "no longer deployed as fp32 on ort, 1 thread" in " ".join(done.out.split())
    assert open_bundle(bundle.folder).manifest.deployment is None
    assert "has no deployment" in type_command("tune", bundle.folder, "--reset").out


def test_a_precision_that_is_not_to_be_had_is_left_out(make_bundle: MakeBundle, wrap: Wrap) -> None:
    """The runtime offers bf16 and computes in fp32."""
    lying = wrap("lying", "pass", "Session.precision = property(lambda self: 'fp32', print)")
    bundle = make_bundle(variants=("fp32",))
    flags = {"threads": 1, "budget": 0.1, "precision": "bf16", "max_drop": 0.2, "store": False}
    report = tune(bundle, runtimes=(str(lying),), **flags)  # type: ignore[arg-type]
    assert [one.what for one in report.left_out] == ["fp32 on lying, 1 thread, in bf16"]
    assert "computes them in 'fp32'" in report.left_out[0].reason
    assert [row.name for row in report.rows] == [SLOW]
    assert report.chosen == SLOW


def test_what_cannot_be_is_refused(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    bundle = make_bundle()
    with pytest.raises(InputError, match="Computing in bf16 changes answers"):
        tune(bundle, precision="bf16")
    with pytest.raises(InputError, match="lets nothing be measured"):
        tune(bundle, budget=0)
    other = make_bundle("other", contract=replace(CONTRACT, output_kind="other", labels=()))
    with pytest.raises(InputError, match="no accuracy can be lost"):
        tune(other, max_drop=0.01)
    done = type_command("tune", bundle.folder, "--max-drop", "0.5")
    assert done.code == 2
    assert "write 0.5pp" in done.err
    assert not list(Path(bundle.folder).glob("reports/*"))
