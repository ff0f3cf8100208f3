"""`edgecnn bench --board`: its option, how it is called, what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli._alone import refuse_others
from edgecnn.cli._measured import Keeper, named_bundle
from edgecnn.cli._options import names, not_empty, print_report
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.boards import BoardReport, BoardRow

# What may stand beside it: which bundle and variants, and where results go.
_BESIDE = ("models", "variants", "runtime", "boards", "output", "as_json")
_RUNTIME = "c"
_WORDS = {
    "pass": ("close", "green"),
    "inconclusive": ("unclear", "yellow"),
    "fail": ("wrong", "red"),
    "refused": ("none", "red"),
    "crashed": ("none", "red"),
}
_COLUMNS = ("", "board", "flash", "weights", "RAM", "stack", "instr.", "per MAC", "answers")

board_option = click.option(
    "--board",
    "boards",
    metavar="NAME[,NAME]",
    callback=not_empty,
    help="Run C variants on emulated microcontrollers instead, and say what they need there: "
    "cortex-m0, -m3, -m4, -m7, -m33, -m55, or all.",
)


def run_boards(models: tuple[Path, ...], output: Path | None, *, as_json: bool) -> None:
    """Run a bundle's C variants on boards, print and keep the report, and raise what is wrong.

    Raises:
        UsageError: Something is given that says nothing of a board.
    """
    from edgecnn.boards import bench_boards, raise_unless_right
    from edgecnn.cli._progress import progress_bar
    from edgecnn.reports import make_report

    parameters = click.get_current_context().params
    refuse_others(_BESIDE, "--board counts what C variants need on a microcontroller")
    if parameters["runtime"] not in (None, _RUNTIME):
        raise click.UsageError(
            f"A board runs plain C, not {parameters['runtime']}: say --runtime {_RUNTIME}."
        )
    bundle = named_bundle(models)
    if bundle is None:
        raise click.UsageError("--board runs a bundle's golden images: name a bundle.")
    chosen = names(parameters["variants"] or "") or None
    with progress_bar() as progress:
        found = bench_boards(bundle, names(parameters["boards"]), chosen, progress=progress)
    keeper = Keeper(bundle.folder, output)
    keeper.keep(make_report(found.KIND, found, found.measured))
    if as_json:
        print_report(keeper.last)
    else:
        _print(found)
    keeper.say_where()
    raise_unless_right(found)


def _print(found: BoardReport) -> None:
    from edgecnn.cli._show import table

    title = f"{found.images} {found.inputs} on emulated boards, sizes in kB"
    table(title, _COLUMNS, [_row(found, each) for each in found.rows], left=2)
    say("Sizes are what the net adds to a program. Weights are part of the flash.")
    say("Instructions are emulated, and no cycles: they say nothing of a device's time.")


def _row(found: BoardReport, row: BoardRow) -> tuple[str, ...]:
    from rich.markup import escape

    sizes, each = row.sizes, row.instructions_per_mac
    memory = () if sizes is None else (sizes.flash, sizes.weights, sizes.ram)
    return (
        escape(row.variant),
        row.board,
        *([f"{count / 1e3:,.1f}" for count in memory] or ["-"] * 3),
        "-" if row.stack is None else f"{row.stack:,} B",
        "-" if row.instructions is None else f"{row.instructions / 1e6:,.2f} M",
        "-" if each is None else f"{each:.2f}",
        _answers(found, row),
    )


def _answers(found: BoardReport, row: BoardRow) -> str:
    word, colour = _WORDS[row.outcome]
    if row.outcome == "pass" and row.equal == found.images:
        word = "equal"
    return f"[{colour}]{word}[/]"
