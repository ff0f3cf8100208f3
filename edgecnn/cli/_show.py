"""How results look: tables, numbers and units, the same in every command."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from rich.console import Console

    from edgecnn.errors import Requirement


def console(*, stderr: bool = False) -> Console:
    """Give a rich console on stdout or stderr; 100 columns where there is no terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 100, highlight=False)


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    stderr: bool = False,
    caption: str | None = None,
    left: int = 1,
) -> None:
    """Print a table; the first columns, `left` of them, hold text, the others numbers."""
    from rich import box
    from rich.table import Table

    sheet = Table(
        title=title,
        caption=caption,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for number, column in enumerate(columns):
        sheet.add_column(column, justify="left" if number < left else "right", overflow="fold")
    for row in rows:
        sheet.add_row(*row)
    console(stderr=stderr).print(sheet)


def open_table(
    title: str, columns: Sequence[str], widths: Sequence[int], *, right: Sequence[int] = ()
) -> Callable[[Sequence[str]], None]:
    """Print the head of a table and give what prints a row; no row is kept, so any number may come.

    Args:
        title: What stands above it.
        columns: The columns' names.
        widths: The columns' widths in characters; 0 takes what is left of the line.
        right: Places of the columns that hold numbers.
    """
    from rich import box
    from rich.table import Table

    screen = console()
    spare = max(10, screen.width - sum(widths) - 2 * len(widths))

    def print_sheet(row: Sequence[str] | None = None) -> None:
        sheet = Table(
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            show_edge=False,
            show_header=row is None,
        )
        for place, (column, width) in enumerate(zip(columns, widths, strict=True)):
            side: Literal["left", "right"] = "right" if place in right else "left"
            sheet.add_column(column, justify=side, width=width or spare, overflow="fold")
        if row is not None:
            sheet.add_row(*row)
        screen.print(sheet)

    screen.print(f"[bold]{title}[/]\n")
    print_sheet()
    return print_sheet


def facts(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one to a line."""
    from rich.markup import escape
    from rich.table import Table

    sheet = Table.grid(padding=(0, 2, 0, 0))
    sheet.add_column()
    sheet.add_column(overflow="fold")
    for name, value in rows:
        sheet.add_row(f"[bold]{escape(name)}[/]", escape(value))
    console().print(sheet)


def requirements_table(requirements: Iterable[Requirement], *, stderr: bool = True) -> None:
    """Print what was needed against what was found."""
    from rich.markup import escape
    from rich.table import Table

    sheet = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("", "", "needed", "found"):
        sheet.add_column(column, overflow="fold")
    for need in requirements:
        mark = "[green]ok[/]" if need.ok else "[red]missing[/]"
        sheet.add_row(mark, escape(need.name), escape(need.needed), escape(need.found))
    console(stderr=stderr).print(sheet)


def next_step(command: str, folder: Path | None) -> None:
    """Say what comes next, for the bundle that the user named; the newest needs no name."""
    click.echo(f"Next: edgecnn {command}" + (f" {shlex.quote(str(folder))}" if folder else ""))


def report_step(folder: Path) -> None:
    """Say how to look at all that is known of a bundle."""
    click.echo(f"See it all: edgecnn report {shlex.quote(str(folder))} --open")


def percent(share: float) -> str:
    """Write a share of 1 as per cent: `0.8512` is `85.12 %`."""
    return f"{100 * share:.2f} %"


def size(count: float) -> str:
    """Write bytes in kB, MB or GB, 1,000 to each."""
    if count >= 1e9:
        return f"{count / 1e9:.2f} GB"
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def microseconds(seconds: float) -> str:
    """Write a time: µs below 10 ms, ms below 10 s."""
    if seconds < 1e-2:
        return f"{seconds * 1e6:,.1f} µs"
    return f"{seconds * 1e3:,.1f} ms" if seconds < 10 else f"{seconds:,.1f} s"
