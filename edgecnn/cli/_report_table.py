"""`edgecnn report --table`: reports of several machines side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgecnn.cli._options import note, print_report
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.reporting.tables import SideBySide

Command = TypeVar("Command", bound=Callable[..., Any])


def table_options(command: Command) -> Command:
    """Add `--table` and `--markdown`."""
    for option in (_markdown_option, _table_option):
        command = option(command)
    return command


def one_bundle(paths: Sequence[Path], markdown: Path | None) -> Path | None:
    """Give the bundle that is meant where no table is asked for; None for the newest.

    Raises:
        UsageError: Several are named, or what only a table has.
    """
    if markdown:
        raise click.UsageError("--markdown goes with --table.")
    if len(paths) > 1 or any(path.is_file() for path in paths):
        raise click.UsageError("Name one bundle, or use --table with report files.")
    return next(iter(paths), None)


def show_table(
    files: Sequence[Path], markdown: Path | None, others: Mapping[str, object], *, as_json: bool
) -> None:
    """Put reports side by side and print them.

    Args:
        files: The reports.
        markdown: Where a summary for GitHub goes.
        others: Options that only the page has, by flag.
        as_json: Print one JSON document.

    Raises:
        UsageError: No file is named, or an option of the page is given.
    """
    from edgecnn.cli._gates import refuse_unwritable, write_markdown
    from edgecnn.reporting.tables import as_markdown, side_by_side
    from edgecnn.reports import make_report

    for flag, value in others.items():
        if value:
            raise click.UsageError(f"--table makes no page: leave {flag} out.")
    if not files:
        raise click.UsageError("--table needs report files, such as runs/*/reports/*-bench-*.json.")
    refuse_unwritable(markdown)
    found = side_by_side(files)
    if markdown:
        write_markdown(markdown, as_markdown(found))
        note(f"Table: {markdown}")
    if as_json:
        print_report(make_report(found.KIND, found, {}))
    else:
        _print(found)


def _print(found: SideBySide) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import facts, table
    from edgecnn.reporting.tables import HEAD, cells, legend

    rows = [tuple(map(escape, cells(row))) for row in found.rows]
    table("Latency by variant and machine", HEAD, rows, left=2)
    facts((column.key, f"{legend(column)}; {column.file}") for column in found.columns)
    for text in found.notes:
        say(text)


_table_option = click.option(
    "--table",
    is_flag=True,
    help="Print reports of bench, of any machine, side by side; no page is made.",
)
_markdown_option = click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.md",
    help="With --table: write it for GitHub too; it is added to $GITHUB_STEP_SUMMARY.",
)
