from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.golden import make_npz
from edgecnn.reports import read_report

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet, TypeCommand

CLASSES = ("circle", "cross", "square", "star")


def test_tables_and_a_report(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    bundle = make_bundle()
    done = type_command("eval", bundle.folder, "--threads", 1)
    assert (done.code, done.err) == (0, "")
    assert "Accuracy on 120 test images of tiny" in done.out
    assert "int8 against fp32: " in done.out
    assert "circle" in done.out
    *lines, last = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert last == f"See it all: edgecnn report {bundle.folder} --open"
    (path,) = (bundle.folder / "reports").iterdir()
    report = read_report(path)
    assert report.kind == "eval"
    assert report.measured == {
        name: bundle.files[name].sha256 for name in ("fp32.onnx", "int8.onnx")
    }


def test_json_is_one_document(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    done = type_command("eval", make_bundle().folder, "--variant", "int8", "--json")
    body = json.loads(done.out)["body"]
    assert (done.code, done.err) == (0, "")
    assert [each["name"] for each in body["variants"]] == ["int8"]
    assert body["variants"][0]["accuracy"]["low"] < body["variants"][0]["accuracy"]["high"]


def test_the_newest_bundle_is_taken(
    make_bundle: MakeBundle, type_command: TypeCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_bundle("runs/tiny").folder
    monkeypatch.chdir(folder.parent.parent)
    assert type_command("eval").err == "Using runs/tiny, the newest bundle.\n"


def test_notes_on_the_data_are_told(
    make_bundle: MakeBundle, tiny_net: TinyNet, type_command: TypeCommand, tmp_path: Path
) -> None:
    images, labels = tiny_net.images[:40], tiny_net.labels[:40]
    both: dict[str, NDArray[Any]] = {"x_train": images, "y_train": labels}
    both |= {"x_test": images, "y_test": labels, "labels": np.array(CLASSES)}
    (tmp_path / "both.npz").write_bytes(make_npz(both))
    done = type_command("eval", make_bundle().folder, "--data", tmp_path / "both.npz")
    assert done.code == 0
    assert "40" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["--variant", "int4"], 2, "has no variant 'int4'; it has fp32, int8."),
        (["--data", "nowhere"], 2, "There is no data 'nowhere'."),
        (["--runtime", "ortt"], 2, "There is no runtime 'ortt'."),
        (["--provider", "cuda9"], 3, "cuda9"),
        (["--batch-size", "0"], 2, "0 is not in the range"),
    ],
)
def test_errors_say_what_and_end_rightly(
    make_bundle: MakeBundle,
    type_command: TypeCommand,
    arguments: list[str],
    code: int,
    problem: str,
) -> None:
    done = type_command("eval", make_bundle().folder, *arguments)
    assert (done.code, done.out) == (code, "")
    assert problem in done.err


def test_gates_decide_the_exit_code(
    make_bundle: MakeBundle, type_command: TypeCommand, tmp_path: Path
) -> None:
    old, new = make_bundle("old").folder, make_bundle("new").folder
    summary = tmp_path / "summary.md"
    words = ["eval", new, "--baseline", old, "--variant", "fp32", "--markdown", summary]
    passed = type_command(*words, "--fail-if", "accuracy < -5pp")
    assert passed.code == 0
    assert "  pass  fp32: accuracy changed by +0.00 points" in passed.out
    assert "fp32 against baseline fp32: a drop of 0.00 points" in passed.out
    assert summary.read_text().startswith("### edgecnn eval: passed\n")
    open_ = [*words, "--fail-if", "accuracy < -0.5pp"]
    assert type_command(*open_).code == 5
    assert type_command(*open_, "--inconclusive", "pass").code == 0
    assert type_command(*open_, "--inconclusive", "fail").code == 1
    both = type_command(*open_, "--fail-if", "accuracy < 100%", "--json")
    assert both.code == 1
    assert [gate["outcome"] for gate in json.loads(both.out)["body"]["gates"]] == [
        "inconclusive",
        "fail",
    ]
    assert "Gate fail: fp32: accuracy is " in both.err
    assert summary.read_text().startswith("### edgecnn eval: FAILED\n")


def test_what_cannot_end_well_is_refused_at_once(
    make_bundle: MakeBundle, type_command: TypeCommand, tmp_path: Path
) -> None:
    folder = make_bundle().folder
    done = type_command("eval", folder, "--inconclusive", "pass")
    assert (done.code, done.out) == (2, "")
    assert "--fail-if" in done.err
    done = type_command("eval", folder, "--markdown", tmp_path)
    assert (done.code, done.out) == (2, "")
    done = type_command("eval", folder, "--fail-if", "accuracy > 0.5")
    assert (done.code, done.out) == (2, "")
    assert "\n  accuracy > 0.5\n           ^\n" in done.err


def test_github_collects_the_summaries_of_a_step(
    make_bundle: MakeBundle,
    type_command: TypeCommand,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    summary = tmp_path / "step.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    folder = make_bundle().folder
    for _ in range(2):
        assert type_command("eval", folder, "--markdown", summary).code == 0
    monkeypatch.chdir(tmp_path)
    assert type_command("eval", folder, "--markdown", "step.md").code == 0
    assert summary.read_text().count("### edgecnn eval\n") == 3
    nowhere = type_command("eval", folder, "--markdown", "")
    assert (nowhere.code, "names no file" in nowhere.err) == (2, True)
