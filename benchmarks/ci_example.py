"""Does the workflow of docs/ci.md stop what it should, and nothing else?

Makes a git repository with a net in it and three pull requests: one that changes a comment, one
that makes the net slower, one that makes it less accurate. For each, the steps of the workflow are
taken from docs/ci.md and run as GitHub would: in a fresh clone, `bash -e`, until one fails. Steps
that use an action or install are left out. Everything that was printed, and every summary, goes to
results/.

    pip install pyyaml
    python benchmarks/ci_example.py --data pictures/     # train/CLASS/*, test/CLASS/*
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file

from edgecnn.disk import write_atomically
from edgecnn.machine import Machine, this_machine
from edgecnn.records import to_json

ROOT = Path(__file__).parents[1]
DOCUMENT, RESULTS = ROOT / "docs" / "ci.md", Path(__file__).parent / "results"
NET = ROOT / "models" / "resnet8"
CONTRACT = """\
input-size = "32x32"
mean = [0.4914, 0.4822, 0.4465]
std = [0.2470, 0.2435, 0.2616]
"""
TRAIN_PICTURES = 100
GATE_FAILED = 1


@dataclass(frozen=True)
class Case:
    """A pull request.

    Attributes:
        name: Its branch.
        change: Changes the folder `net/`.
        fails: Names of the steps whose gates must fail; where there are none, all steps must pass.
    """

    name: str
    change: Callable[[Path], None]
    fails: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One step of the workflow; `skipped` says why it was not run."""

    name: str
    skipped: str
    exit_code: int | None = None
    seconds: float = 0.0
    output: str = ""
    summary: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a pull request.

    Attributes:
        case: Its branch.
        must_fail: Names of the steps whose gates must fail.
        failed: Names of those whose gates did.
        passed: No step ended with another code than 0.
        as_expected: Both are as they must be.
        steps: What was run.
    """

    case: str
    must_fail: tuple[str, ...]
    failed: tuple[str, ...]
    passed: bool
    as_expected: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Results:
    """What is written."""

    machine: Machine
    workflow: str
    outcomes: tuple[Outcome, ...]


def rebuilt(net: Path) -> None:
    model = net / "model.py"
    model.write_text(f"{model.read_text()}\n# Nothing else changed.\n")


def slower(net: Path) -> None:
    """Add a convolution that changes nothing but the time."""
    model, weights = net / "model.py", net / "weights.safetensors"
    text = model.read_text()
    made, used = "self.bn1 = nn.BatchNorm2d(small)\n", "relu(self.bn1(self.conv1(x)))\n        x = "
    assert text.count(made) == text.count(used) == 1
    text = text.replace(made, f"{made}        self.polish = _conv3x3(small, small, 1)\n")
    model.write_text(text.replace(used, used.replace("x = ", "x = self.polish(x)\n        x = ")))
    state = load_file(weights)
    state["polish.weight"] = torch.nn.init.dirac_(torch.empty(16, 16, 3, 3))
    save_file(state, weights, metadata=_labels(weights))


def worse(net: Path) -> None:
    """Disturb the weights of the last layer."""
    weights = net / "weights.safetensors"
    labels, state = _labels(weights), load_file(weights)
    fc = state["fc.weight"]
    noise = torch.randn(fc.shape, generator=torch.Generator().manual_seed(0))
    state["fc.weight"] = fc + 0.3 * fc.std() * noise
    save_file(state, weights, metadata=labels)


CASES = (
    Case("rebuilt", rebuilt, ()),
    Case("slower", slower, ("Latency and size",)),
    Case("worse", worse, ("Accuracy",)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="train/CLASS/*, test/CLASS/*")
    parser.add_argument("--only", choices=[case.name for case in CASES])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgecnn-ci-") as name:
        folder = Path(name)
        repository = make_repository(folder / "repository")
        outcomes = []
        for case in CASES:
            if options.only in (None, case.name):
                outcomes.append(try_case(case, repository, folder, options.data.resolve()))
                report(outcomes[-1])
    results = Results(this_machine(), workflow_text(), tuple(outcomes))
    path = RESULTS / f"ci_example-{date.today().isoformat()}.json"
    write_atomically(path, to_json(replace(results, machine=replace(results.machine, name="-"))))
    sys.exit(not all(outcome.as_expected for outcome in outcomes))


def report(outcome: Outcome) -> None:
    word = "as it must be" if outcome.as_expected else "NOT as it must be"
    print(f"{outcome.case}: failed {', '.join(outcome.failed) or 'nothing'}, {word}", flush=True)
    for step in outcome.steps:
        print(f"  {step.name}: {step.skipped or f'{step.exit_code} after {step.seconds:.0f} s'}")
        print(step.summary)


def make_repository(folder: Path) -> Path:
    net = folder / "net"
    net.mkdir(parents=True)
    for name in ("model.py", "weights.safetensors"):
        (net / name).write_bytes((NET / name).read_bytes())
    (net / "contract.toml").write_text(CONTRACT)
    (folder / ".gitignore").write_text("pictures\nruns\nbase\n")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "A net")
    for case in CASES:
        git(folder, "checkout", "--quiet", "-b", case.name, "main")
        case.change(net)
        commit(folder, case.name)
    git(folder, "checkout", "--quiet", "main")
    return folder


def try_case(case: Case, repository: Path, folder: Path, data: Path) -> Outcome:
    checkout = folder / case.name
    git(folder, "clone", "--quiet", "--branch", case.name, str(repository), str(checkout))
    link_pictures(data, checkout / "pictures")
    steps = tuple(run_steps(checkout, folder))
    failed = tuple(step.name for step in steps if step.exit_code == GATE_FAILED)
    passed = not any(step.exit_code for step in steps)
    return Outcome(case.name, case.fails, failed, passed, _expected(case, failed, passed), steps)


def _expected(case: Case, failed: tuple[str, ...], passed: bool) -> bool:
    return failed == case.fails and passed == (not case.fails)


def run_steps(checkout: Path, folder: Path) -> Iterator[Step]:
    (job,) = yaml.safe_load(workflow_text())["jobs"].values()
    fixed = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    given = {
        name: text.replace("${{ github.base_ref }}", "main") for name, text in job["env"].items()
    }
    environment = {**os.environ, **fixed, **given, "GITHUB_WORKSPACE": str(checkout)}
    failed = False
    for number, step in enumerate(job["steps"]):
        name = step.get("name", step.get("uses", ""))
        wanted = not failed or step.get("if") in ("always()", "success() || failure()")
        if "uses" in step or name == "Install":
            yield Step(name, "not run here")
        elif not wanted:
            yield Step(name, "skipped after a failure")
        else:
            summary = folder / f"{checkout.name}-{number}.md"
            environment["GITHUB_STEP_SUMMARY"] = str(summary)
            done = run_step(name, step["run"], checkout, environment)
            text = summary.read_text() if summary.exists() else ""
            failed = failed or bool(done.exit_code)
            yield replace(
                done, summary=nameless(text, folder), output=nameless(done.output, folder)
            )


def run_step(name: str, script: str, checkout: Path, environment: dict[str, str]) -> Step:
    began = time.perf_counter()
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Step(name, "", done.returncode, time.perf_counter() - began, done.stdout)


def workflow_text() -> str:
    (found,) = re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.M | re.S)
    return str(found)


def link_pictures(data: Path, target: Path) -> None:
    for split, most in (("train", TRAIN_PICTURES), ("test", None)):
        for label in sorted((data / split).iterdir()):
            (target / split / label.name).mkdir(parents=True)
            for picture in sorted(label.iterdir())[:most]:
                (target / split / label.name / picture.name).symlink_to(picture)


def nameless(text: str, folder: Path) -> str:
    """Leave out the folder of this machine."""
    return text.replace(str(folder), "…")


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    author = ("-c", "user.name=example", "-c", "user.email=example@example.org")
    git(folder, *author, "commit", "--quiet", "--message", message)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True)


def _labels(weights: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(weights, "pt") as file:
        return dict(file.metadata() or {})


if __name__ == "__main__":
    main()
