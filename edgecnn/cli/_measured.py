"""What the commands that measure share: what they measure, and where their report goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli._options import find_bundle, note

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle
    from edgecnn.reports import Report

models_argument = click.argument(
    "models", nargs=-1, type=click.Path(path_type=Path), metavar="[BUNDLE|FILE...]"
)
measured_batch_option = click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Images in one call.  [default: 1, or what the first ONNX file takes]",
)
output_option = click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report to this file too; that of ONNX files is kept nowhere else.",
)


def named_bundle(models: tuple[Path, ...]) -> Bundle | None:
    """Open the bundle that is meant; None where ONNX files are."""
    from edgecnn.plain import is_file_name

    files = [is_file_name(path) for path in models]
    if any(files):
        if not all(files):
            folder = models[files.index(False)]
            raise click.UsageError(f"{folder} is no ONNX file: name one bundle, or files alone.")
        return None
    if len(models) > 1:
        raise click.UsageError("Only one bundle can be measured at a time.")
    return find_bundle(models[0] if models else None)


class Keeper:
    """Writes the report anew after each stage, and remembers the last."""

    def __init__(self, folder: Path | None, output: Path | None) -> None:
        self._for_bundle = folder is not None
        self._folder = folder
        self._output = output
        self.last: Report
        self.paths: tuple[Path, ...] = ()

    def keep(self, report: Report) -> None:
        """Write the report, in place of the one before."""
        from edgecnn.disk import write_atomically
        from edgecnn.errors import InputError
        from edgecnn.records import to_json
        from edgecnn.reports import write_report

        self.last, written = report, list[Path]()
        if self._output:
            write_atomically(self._output, to_json(report))
            written.append(self._output)
        if self._folder:
            try:
                written.append(write_report(report, self._folder))
            except InputError as error:
                note(f"The report is not kept: {error.problem}")
                self._folder = None
        self.paths = tuple(written)

    def say_where(self) -> None:
        """Say where the report lies, or that it lies nowhere."""
        for path in self.paths:
            note(f"Report: {path}")
        if self._folder:
            from edgecnn.cli._show import see_it_all

            note(see_it_all(self._folder))
        if not self._for_bundle and not self._output:
            note("The report is not kept: ONNX files have no place for it. Name one with --output.")
