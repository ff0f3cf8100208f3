"""Check that a bundle is what was written, and answers here as it should."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli._options import (
    batch_size_option,
    bundle_argument,
    find_bundle,
    json_option,
    keep_report,
    names,
    note,
    print_report,
    providers_option,
    runtimes_option,
    threads_option,
    variant_option,
)
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.agreement import Comparison
    from edgecnn.verification import FileCheck, VariantCheck, VerifyReport

_COLOURS = {"pass": "green", "inconclusive": "yellow", "not run": "yellow"}


@click.command()
@bundle_argument
@variant_option
@runtimes_option("Engines to run on.  [default: what reads each variant]", default=None)
@providers_option
@threads_option
@batch_size_option
@click.option(
    "--run/--no-run",
    default=True,
    show_default=True,
    help="Run the golden vectors; --no-run checks files and lineage only.",
)
@json_option
def command(
    bundle: Path | None,
    variants: str | None,
    runtime: str | None,
    provider: str | None,
    threads: int | None,
    batch_size: int | None,
    run: bool,
    as_json: bool,
) -> None:
    """Check that a bundle is what was written, and answers here as it should.

    Every file is held against its digest and every variant against what it was made from; then the
    golden vectors are run on this machine, within the tolerances of each variant. It needs neither
    torch nor onnx. Exit code 2: a file is damaged, or a variant stale; 1: an answer is wrong; 4: a
    runtime crashed.
    """
    from edgecnn.cli._progress import progress_bar
    from edgecnn.reports import make_report
    from edgecnn.verification import raise_unless_sound, verify

    opened = find_bundle(bundle)
    with progress_bar() as progress:
        found = verify(
            opened,
            names(variants) if variants else None,
            runtime=names(runtime) if runtime else None,
            provider=names(provider) if provider else None,
            threads=threads,
            batch_size=batch_size,
            run=run,
            progress=progress,
        )
    report = make_report("verify", found, found.measured)
    keep_report(report, opened.folder)
    if as_json:
        print_report(report)
    else:
        _print(found, run=run)
    for text in found.notes:
        note(text)
    raise_unless_sound(found)


def _print(found: VerifyReport, *, run: bool) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import facts, table

    facts([("Bundle", found.bundle), ("Digest", found.digest)])
    columns = ["File", "SHA-256", "size", ""]
    table("", columns, map(_file_row, found.files))
    if found.variants and run:
        title = f"{found.images} {found.inputs}" if found.inputs else "Nothing was run"
        rows = [row for check in found.variants for row in _variant_rows(check)]
        columns = ["Variant", "runtime", "against", "found (needed)", ""]
        table(escape(title), columns, rows, left=3)
    if found.verdict.outcome == "pass":
        say(
            "Every file is what was written"
            + (", and every answer within its tolerance." if run else ". Nothing was run.")
        )


def _file_row(file: FileCheck) -> list[str]:
    from rich.markup import escape

    from edgecnn.cli._show import size

    state = "[red]damaged[/]" if file.problem else "[green]ok[/]"
    return [escape(file.name), file.sha256[:16], size(file.size), state]


def _variant_rows(check: VariantCheck) -> Iterator[list[str]]:
    from rich.markup import escape

    engine = f"{check.runtime}/{check.provider}" if check.provider else check.runtime
    if not check.comparisons:
        yield [escape(check.name), escape(engine), "", "", _coloured(check.outcome)]
    several = len({each.output for each in check.comparisons}) > 1
    for each in check.comparisons:
        name = f"{each.name} {each.output}" if several else each.name
        yield [
            escape(name),
            escape(engine),
            escape(each.against),
            _gates(each),
            _coloured(each.verdict.outcome),
        ]


_FOUND = {
    "finite": "{0:.0f} images with NaN or infinity",
    "bits": "{0:.0f} images differ in a bit",
    "error": "{0:.2g} of the error allowed",
    "sqnr": "{0:.1f} dB ({1:.1f})",
    "top1": "{2:.4g} % alike ({3:.4g} %)",
}


def _gates(comparison: Comparison) -> str:
    if comparison.agreement.max_abs == 0:
        return "equal"
    return ", ".join(
        _FOUND[gate.name].format(gate.value, gate.limit, 100 * gate.value, 100 * gate.limit)
        for gate in comparison.gates
    )


def _coloured(outcome: str) -> str:
    return f"[{_COLOURS.get(outcome, 'red')}]{outcome}[/]"
