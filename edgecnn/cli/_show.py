"""How results look: tables, numbers and units, the same in every command."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgecnn.cli._terminal import console, say, show

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from edgecnn.errors import Requirement


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    stderr: bool = False,
    caption: str | None = None,
    left: int = 1,
) -> None:
    """Print a table; the first columns, `left` of them, hold text, the others numbers.

    What is too wide wraps text, never numbers; where that is not enough, the columns are divided
    into several tables, each with the first ones.
    """
    from edgecnn.cli._columns import fit, parts, widths

    headers = [_text(column) for column in columns]
    cells = [[_text(cell) for cell in row] for row in rows]
    room = console(stderr=stderr).width - 1
    for number, places in enumerate(parts(headers, cells, left, room)):
        heads = [headers[place] for place in places]
        body = [[row[place] for place in places] for row in cells]
        sizes = fit(widths(heads, body, left), room)
        above = f"[bold]{title}[/]" if number == 0 else "[dim]more columns[/]"
        if title:
            show(_text(above), stderr=stderr)
        show(_sheet(heads, body, sizes, left), stderr=stderr)
    if caption:
        show(_text(f"[dim]{caption}[/]\n"), stderr=stderr)


def _text(markup: str) -> Text:
    from rich.text import Text

    return Text.from_markup(markup, emoji=False)


def _sheet(
    headers: Sequence[Text], rows: Sequence[Sequence[Text]], sizes: Sequence[int], left: int
) -> Table:
    from rich import box
    from rich.table import Table

    sheet = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for number, (header, width) in enumerate(zip(headers, sizes, strict=True)):
        side: Literal["left", "right"] = "left" if number < left else "right"
        sheet.add_column(header, justify=side, overflow="fold", width=width)
    for row in rows:
        sheet.add_row(*row)
    return sheet


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

    spare = max(10, console().width - sum(widths) - 2 * len(widths))

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
            sheet.add_row(*map(_text, row))
        show(sheet)

    show(f"[bold]{title}[/]\n")
    print_sheet()
    return print_sheet


def facts(rows: Iterable[tuple[str, str]], *, widest: int | None = None) -> None:
    """Print names and values, one to a line; longer names than `widest` are broken."""
    from rich.table import Table
    from rich.text import Text

    sheet = Table.grid(padding=(0, 2, 0, 0))
    sheet.add_column(overflow="fold", max_width=widest)
    sheet.add_column(overflow="fold")
    for name, value in rows:
        sheet.add_row(Text(name, "bold"), Text(value))
    show(sheet)


def some(names: Sequence[str], most: int = 20) -> str:
    """List names; of many the first, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f", … ({more:,} more)" if more > 0 else "")


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
    show(sheet, stderr=stderr)


def next_step(command: str, folder: Path | None) -> None:
    """Say what comes next, for the bundle that the user named; the newest needs no name."""
    say(f"Next: edgecnn {command}" + (f" {shlex.quote(str(folder))}" if folder else ""))


def see_it_all(folder: Path) -> str:
    """Say how to look at all that is known of a bundle."""
    return f"See it all: edgecnn report {shlex.quote(str(folder))} --open"


def percent(share: float) -> str:
    """Write a share of 1 as per cent: `0.8512` is `85.12 %`."""
    return f"{100 * share:.2f} %"


def size(count: float) -> str:
    """Write bytes in kB, MB or GB, 1,000 to each."""
    if count >= 1e9:
        return f"{count / 1e9:.2f} GB"
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def three_digits(value: float) -> str:
    """Write a number with three digits or so: `1,234`, `12.3`, `1.23`."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def microseconds(seconds: float) -> str:
    """Write a time: µs below 10 ms, ms below 10 s."""
    if seconds < 1e-2:
        return f"{seconds * 1e6:,.1f} µs"
    return f"{seconds * 1e3:,.1f} ms" if seconds < 10 else f"{seconds:,.1f} s"
