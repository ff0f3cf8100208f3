"""`edgecnn parity --layers`: the first tensor at which models part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli._alone import refuse_others
from edgecnn.cli._options import keep_report, names, note, print_report, stop_unless_passed
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.agreement.layers import LayerComparison, LayerDifference, LayersReport
    from edgecnn.bundle import Bundle

# What --layers does not go with: it has limits of its own, and keeps no outputs.
_APART = ("atol", "rtol", "cpus", "worst", "save_outputs")
_TO_SPEAK_OF = 0.01
_REMEDIES = {
    "fail": "Look at that layer first: what comes behind it only passes the difference on.",
    "inconclusive": "Try the runtime without its optimisations, such as `--option "
    "optimization=basic` of ort.",
}


def run(
    model: Bundle | str,
    variants: str | None,
    against: Path | str | None,
    *,
    runtime: str,
    provider: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare, print and keep the report, and raise what was found."""
    import click

    from edgecnn.agreement.layers import parity_layers
    from edgecnn.cli._progress import progress_bar
    from edgecnn.reports import make_report

    parameters = {option.name or "" for option in click.get_current_context().command.params}
    refuse_others(parameters - set(_APART), "--layers has limits of its own and keeps no outputs")
    with progress_bar() as progress:
        found = parity_layers(
            model,
            names(variants) if variants else None,
            against,
            runtime=names(runtime),
            provider=names(provider) if provider else None,
            progress=progress,
            **{name: value for name, value in options.items() if name not in _APART},
        )
    report = make_report(found.KIND, found, found.measured)
    if not isinstance(model, str):
        keep_report(report, model.folder)
    if as_json:
        print_report(report)
    else:
        for comparison in found.comparisons:
            _print(comparison, _inputs(found))
    for text in found.notes:
        note(text)
    stop_unless_passed(found.verdict, _REMEDIES.get(found.verdict.outcome, ""))


def _inputs(found: LayersReport) -> str:
    own = found.seed is not None or found.inputs.startswith("golden")
    return f"{found.images} {found.inputs}" if own else f"{found.images} of {found.inputs}"


def _print(comparison: LayerComparison, inputs: str) -> None:
    from rich.markup import escape

    from edgecnn.agreement.layers import farthest
    from edgecnn.cli._show import table

    title = escape(f"{comparison.first} against {comparison.second}, on {inputs}")
    columns = ["Layer", "Tensor", "max abs", "SQNR dB", f"roundings (of {comparison.limit:g})", ""]
    table(title, columns, map(_row, comparison.tensors), left=2)
    if comparison.verdict.outcome == "pass":
        most = farthest(comparison)
        nearest = f"{most.layer} comes nearest to it, with {most.roundings:.2f} roundings"
        say(
            f"No tensor differs by more than rounding; {nearest} of {comparison.limit:g}."
            if most.roundings >= _TO_SPEAK_OF
            else "No tensor differs by more than rounding."
        )


def _row(each: LayerDifference) -> list[str]:
    from rich.markup import escape

    same = each.tensor == each.layer
    return [
        escape(each.layer),
        "" if same else escape(each.tensor),
        "0" if each.max_abs == 0 else f"{each.max_abs:.1e}",
        "equal" if each.sqnr_db == float("inf") else f"{each.sqnr_db:.1f}",
        f"{each.roundings:.2f}" if each.roundings < 1e4 else f"{each.roundings:.1e}",
        "[red]parts[/]" if each.parts else "",
    ]
