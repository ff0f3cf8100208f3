"""Models that have no answer because their engine failed: a row each, and the end of a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgecnn.worker import EngineFailure


def lost_row(failure: EngineFailure, columns: int) -> list[str]:
    """Give the row of a table: who failed, and that it did."""
    from rich.markup import escape

    where = "/".join(filter(None, (failure.runtime, failure.provider)))
    blank = [""] * (columns - 3)
    return [escape(failure.name), escape(where), *blank, "[red]failed[/]"]


def stop_if_lost(failures: Sequence[EngineFailure]) -> None:
    """Raise what the engines failed of, with the exit code of a crash; nothing if none did."""
    if failures:
        first = failures[0].error()
        problems = "\n".join(failure.problem for failure in failures)
        raise type(first)(problems, first.remedy) from first.__cause__
