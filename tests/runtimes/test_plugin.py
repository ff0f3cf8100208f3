"""A package of somebody else's brings a runtime by the entry-point group `edgecnn.runtimes`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EDGECNN = ("-c", "from edgecnn.cli import main; main()")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Install the package into a folder of its own; give what runs Python with it."""
    source, site = tmp_path_factory.mktemp("plugin") / "source", tmp_path_factory.mktemp("site")
    shutil.copytree(HERE / "plugin", source)
    alone = ("--no-deps", "--no-build-isolation", "--no-index", "--target", site)
    command = (sys.executable, "-m", "pip", "install", "--quiet", *alone, source)
    subprocess.run([str(word) for word in command], check=True, cwd=source)

    def python(*words: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, words)],
            env={**os.environ, "PYTHONPATH": str(site)},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )

    return python


@pytest.fixture(scope="module")
def folder(session_bundle: Callable[[str], Bundle]) -> Path:
    return session_bundle("plugged").folder


def test_doctor_lists_it(run: Run) -> None:
    done = run(*EDGECNN, "doctor", "--json")
    places = {place["runtime"]: place for place in json.loads(done.stdout)["body"]["places"]}
    assert places["evaluator"]["availability"]["ok"]
    assert places["evaluator"]["availability"]["versions"]["onnx"]


def test_parity_runs_it_beside_others(run: Run, folder: Path) -> None:
    asked = ("parity", folder, "--variant", "fp32", "--runtime", "ort,evaluator", "--json")
    # Its engine prints every tensor; none of that may get into the document.
    done = run(*EDGECNN, *asked, "--option", "evaluator:trace=on")
    body = json.loads(done.stdout)["body"]
    assert done.returncode == 0, done.stderr
    assert {row["runtime"] for row in body["comparisons"]} == {"ort", "evaluator"}
    assert {row["against"] for row in body["comparisons"]} >= {"golden", "ort/cpu"}


def test_it_is_measured(run: Run, folder: Path) -> None:
    asked = ("bench", folder, "--variant", "fp32", "--runtime", "evaluator", "--iterations", 5)
    done = run(*EDGECNN, *asked, "--json")
    assert done.returncode in (0, 5), done.stderr
    (row,) = json.loads(done.stdout)["body"]["variants"]
    assert (row["place"], row["threads"]) == ("evaluator/cpu", 1)


def test_what_it_cannot_take_is_refused(run: Run, folder: Path) -> None:
    done = run(*EDGECNN, "eval", folder, "--runtime", "evaluator")
    assert (done.returncode, done.stdout) == (2, "")
    assert "evaluator refuses" in done.stderr
    done = run(*EDGECNN, "eval", folder, "--runtime", "evaluator", "--option", "trace=loud")
    assert done.returncode == 2
    assert "trace" in done.stderr


def test_the_suite_holds_it(run: Run) -> None:
    some = "right or refused or repeatable or caller or closing"
    where = HERE.relative_to(ROOT) / "test_conformance.py"
    plain = ("-n0", "-p", "no:cacheprovider", "-q", "-k", some)
    done = run("-m", "pytest", where, *plain, "--runtime", "evaluator")
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_the_page_shows_this_very_package() -> None:
    page = (ROOT / "docs" / "runtimes.md").read_text(encoding="utf-8")
    for name in ("edgecnn_evaluator.py", "pyproject.toml"):
        assert (HERE / "plugin" / name).read_text(encoding="utf-8") in page, name
