"""The workflow of docs/ci.md holds commands that can be typed, with gates that can be read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from edgecnn.cli import edgecnn
from edgecnn.gating import METRICS, parse_gates
from edgecnn.gating.metrics import Command

DOCUMENT = Path(__file__).parents[1] / "docs" / "ci.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")


def steps() -> list[dict[str, Any]]:
    (workflow,) = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.M | re.S)
    (job,) = yaml.safe_load(workflow)["jobs"].values()
    found: list[dict[str, Any]] = job["steps"]
    return found


def commands() -> Iterator[list[str]]:
    for step in steps():
        for line in step.get("run", "").replace("\\\n", "").splitlines():
            program, *words = shlex.split(line)
            if program == "edgecnn":
                yield words


@pytest.mark.parametrize("words", list(commands()), ids=lambda words: " ".join(words[:2]))
def test_each_command_can_be_typed(words: list[str]) -> None:
    assert isinstance(edgecnn, click.Group)
    name, command, rest = edgecnn.resolve_command(click.Context(edgecnn), words)
    assert command is not None
    context = command.make_context(name, rest)
    gates = context.params.get("fail_if", ())
    if gates:
        kind: Command = "bench" if name == "bench" else "eval"
        assert len(parse_gates(gates, kind, baseline=bool(context.params["baseline"]))) > 0


def test_both_commands_gate_and_sum_up() -> None:
    gating = [words for words in commands() if "--fail-if" in words]
    assert [words[0] for words in gating] == ["eval", "bench"]
    assert all("$GITHUB_STEP_SUMMARY" in words for words in gating)


def test_the_document_names_every_metric() -> None:
    for name in METRICS:
        assert f"`{name}`" in TEXT
