"""What `bench` and `eval` share about gates: options, how results are shown, the summary."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgecnn.cli._options import note
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.gating import GateResult

Command = TypeVar("Command", bound=Callable[..., Any])


def gate_options(example: str) -> Callable[[Command], Command]:
    """Add `--fail-if`, `--inconclusive` and `--markdown` to a command.

    Args:
        example: A gate on what the command measures.
    """

    def add(command: Command) -> Command:
        fail_if = click.option(
            "--fail-if",
            multiple=True,
            metavar="GATE",
            help=f'Exit 1 if it is so, such as "{example}"; may be repeated.',
        )
        for option in (_markdown_option, _inconclusive_option, fail_if):
            command = option(command)
        return command

    return add


def refuse_vain(fail_if: Sequence[str], inconclusive: str | None) -> None:
    """Refuse `--inconclusive` where nothing is gated."""
    if inconclusive and not fail_if:
        raise click.UsageError("--inconclusive says what becomes of gates: set one with --fail-if.")


def print_gates(results: Sequence[GateResult]) -> None:
    """Print what became of each gate."""
    from edgecnn.cli._show import facts

    if results:
        say("Gates:")
        facts((f"  {result.outcome}", result.reason) for result in results)


def note_gates(results: Sequence[GateResult]) -> None:
    """Say on stderr which gates did not pass."""
    for result in results:
        if result.outcome != "pass":
            note(f"Gate {result.outcome}: {result.reason}")


def refuse_unwritable(*paths: Path | None) -> None:
    """Find out before anything is measured that files cannot be written.

    Raises:
        InputError: One of them cannot.
    """
    from edgecnn.disk import prove_writable
    from edgecnn.errors import InputError

    for path in paths:
        if path == Path():
            raise InputError(
                "--markdown or --output names no file.",
                "Name one; GitHub sets $GITHUB_STEP_SUMMARY in its own jobs only.",
            )
        if path is not None and _is_summary(path):
            _append(path, "")
        elif path is not None:
            prove_writable(path)


def write_markdown(path: Path, text: str) -> None:
    """Write a summary; appended where GitHub collects those of a step, for several may come.

    Raises:
        InputError: It cannot be written.
    """
    from edgecnn.disk import write_atomically

    if _is_summary(path):
        _append(path, f"{text}\n")
    else:
        write_atomically(path, text.encode())


def _append(path: Path, text: str) -> None:
    from edgecnn.disk import disk_errors

    with disk_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(text)


def _is_summary(path: Path) -> bool:
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    return bool(summary) and os.path.realpath(path) == os.path.realpath(str(summary))


_inconclusive_option = click.option(
    "--inconclusive",
    type=click.Choice(["pass", "fail"]),
    help="What a gate counts as whose limit lies in the figure's interval.  [default: exit 5]",
)
_markdown_option = click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.md",
    help="Write a summary for GitHub too; it is added to $GITHUB_STEP_SUMMARY.",
)
