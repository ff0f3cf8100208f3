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

_NARROWEST_REST = 12  # for what takes the rest of a line


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
    into several tables, each with the first ones, and on a narrow terminal each row is a list.
    """
    from edgecnn.cli._columns import fit, parts, widths

    headers = [_text(column) for column in columns]
    cells = [[_text(cell) for cell in row] for row in rows]
    room = console(stderr=stderr).width - 1
    if title:
        show(_text(f"[bold]{title}[/]"), stderr=stderr)
    divided = parts(headers, cells, left, room)
    for number, places in enumerate(divided):
        heads = [headers[place] for place in places]
        body = [[row[place] for place in places] for row in cells]
        texts = sum(place < left for place in places)
        sizes = fit(widths(heads, body, texts), room)
        if number:
            show(_text("[dim]more columns[/]"), stderr=stderr)
        show(_sheet(heads, body, sizes, texts), stderr=stderr)
    if not divided:
        show("", stderr=stderr)
        _lists(headers, cells, stderr=stderr)
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

    from edgecnn.cli._columns import is_text, wrapped

    sheet = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for place, (header, width) in enumerate(zip(headers, sizes, strict=True)):
        side: Literal["left", "right"] = "left" if is_text(rows, place, left) else "right"
        sheet.add_column(header, justify=side, overflow="fold", width=width)
    for row in rows:
        sheet.add_row(*map(wrapped, row, sizes))
    return sheet


def _lists(
    headers: Sequence[Text], rows: Sequence[Sequence[Text]], *, stderr: bool = False
) -> None:
    from edgecnn.cli._columns import wrapped

    room = console(stderr=stderr).width
    for row in rows:
        title, pairs = _listed(headers, row)
        for part in (wrapped(title, room) if title else None, _grid(pairs, room)):
            if part is not None:
                show(part, stderr=stderr)
        show("", stderr=stderr)


def _listed(headers: Sequence[Text], row: Sequence[Text]) -> tuple[Text, list[tuple[Text, Text]]]:
    """Give what stands above a list, and its names and values; what has no name joins another."""
    title: list[Text] = []
    pairs: list[tuple[Text, Text]] = []
    for header, cell in zip(headers, row, strict=True):
        if header and cell:
            pairs.append((header, cell))
        elif cell and pairs:
            name, value = pairs[-1]
            pairs[-1] = name, value + _text("  ") + cell
        elif cell:
            title.append(cell)
    return _text("  ").join(title), pairs


def open_table(
    title: str, columns: Sequence[str], widths: Sequence[int], *, right: Sequence[int] = ()
) -> Callable[[Sequence[str]], None]:
    """Print the head of a table and give what prints a row; no row is kept, so any number may come.

    On a narrow terminal each row is a list.

    Args:
        title: What stands above it.
        columns: The columns' names.
        widths: The columns' widths in characters; 0 takes what is left of the line.
        right: Places of the columns that hold numbers.
    """
    spare = console().width - sum(widths) - 2 * len(widths)
    show(f"[bold]{title}[/]\n")
    if spare < _NARROWEST_REST:
        return lambda row: _lists([_text(each) for each in columns], [list(map(_text, row))])
    sizes = [width or spare for width in widths]

    def print_sheet(row: Sequence[str] | None = None) -> None:
        from rich import box
        from rich.table import Table

        from edgecnn.cli._columns import wrapped

        sheet = Table(
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            show_edge=False,
            show_header=row is None,
        )
        for place, (column, width) in enumerate(zip(columns, sizes, strict=True)):
            side: Literal["left", "right"] = "right" if place in right else "left"
            sheet.add_column(column, justify=side, width=width, overflow="fold")
        if row is not None:
            sheet.add_row(*map(wrapped, map(_text, row), sizes))
        show(sheet)

    print_sheet()
    return print_sheet


def facts(rows: Iterable[tuple[str, str]], *, widest: int | None = None) -> None:
    """Print names and values, one to a line; longer names than `widest` are broken."""
    from rich.text import Text

    pairs = [(Text(name, "bold"), Text(value)) for name, value in rows]
    show(_grid(pairs, console().width, widest))


def _grid(rows: Sequence[tuple[Text, Text]], room: int, widest: int | None = None) -> Table:
    from rich.table import Table

    from edgecnn.cli._columns import wrapped

    first = max((name.cell_len for name, _ in rows), default=0)
    first = min(first, widest or max(_NARROWEST_REST, room // 2))
    rest = max(_NARROWEST_REST, room - first - 2)
    sheet = Table.grid(padding=(0, 2, 0, 0))
    for width in (first, rest):
        sheet.add_column(overflow="fold", max_width=width)
    for name, value in rows:
        sheet.add_row(wrapped(name, first), wrapped(value, rest))
    return sheet


def some(names: Sequence[str], most: int = 20) -> str:
    """List names; of many the first, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f", … ({more:,} more)" if more > 0 else "")


def requirements_table(requirements: Iterable[Requirement], *, stderr: bool = True) -> None:
    """Print what was needed against what was found."""
    from rich.markup import escape

    rows = [
        (
            "[green]ok[/]" if need.ok else "[red]missing[/]",
            *map(escape, (need.name, need.needed, need.found)),
        )
        for need in requirements
    ]
    table("", ("", "", "needed", "found"), rows, stderr=stderr, left=4)


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
