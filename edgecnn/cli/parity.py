"""Check that models answer the same: against golden vectors or each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli._limits import limit_options
from edgecnn.cli._lost import lost_row, stop_if_lost
from edgecnn.cli._options import (
    batch_size_option,
    engine_options,
    find_bundle,
    json_option,
    keep_report,
    names,
    not_empty,
    note,
    plain_options,
    print_report,
    providers_option,
    runtimes_option,
    stop_unless_passed,
    threads_option,
    variant_option,
)
from edgecnn.cli._placement import fallback_option
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.agreement import Comparison, ParityReport, WorstImage
    from edgecnn.bundle import Bundle

_REMEDIES = {
    "fail": "Make it anew with `edgecnn export`, or allow this much with --atol and --rtol.",
    "inconclusive": "Say what is near enough with --atol or --rtol.",
}
_FILE_REMEDIES = {
    "fail": "Look at what made them, or allow this much with --atol and --rtol; --save-outputs "
    "keeps every value.",
    "inconclusive": "Say what is near enough with --atol or --rtol, or give real inputs with "
    "--inputs FILE.npz.",
}


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path), metavar="[MODEL]")
@click.argument("other", required=False, type=click.Path(path_type=Path), metavar="[OTHER]")
@variant_option
@click.option("--against", metavar="NAME", help="Variant of the bundle to compare with.")
@runtimes_option("Engines to run on; later ones are also compared with the first.")
@providers_option
@engine_options
@fallback_option
@threads_option
@batch_size_option
@limit_options
@click.option("--atol", type=click.FloatRange(min=0), help="Absolute error that is allowed.")
@click.option("--rtol", type=click.FloatRange(min=0), help="Error relative to the expected output.")
@click.option(
    "--as-cpu",
    "cpus",
    metavar="NAME[,NAME]",
    callback=not_empty,
    help="Run the bundle's golden vectors on other CPUs under qemu: haswell, nehalem, …",
)
@click.option(
    "--layers",
    is_flag=True,
    help="Look inside: name the first layer at which models or runtimes part.",
)
@click.option(
    "--worst",
    default=3,
    show_default=True,
    type=click.IntRange(min=0),
    help="How many of the images that differ most to list.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of random inputs.")
@click.option(
    "--save-outputs",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.npz",
    help="Write inputs and all outputs to a file.",
)
@plain_options
@json_option
def command(
    model: Path | None,
    other: Path | None,
    variants: str | None,
    against: str | None,
    runtime: str,
    provider: str | None,
    cpus: str | None,
    *,
    layers: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Check that models answer the same, within tolerances derived from float64.

    MODEL is a bundle, by default the newest: its variants are held against its golden vectors. Or
    it is an ONNX file. OTHER is a bundle or an ONNX file to compare with; two files are compared on
    random inputs, unless you give others. A gate that fails ends with exit code 1.

    With --as-cpu the golden vectors are run on other CPUs, emulated, and held to the same
    tolerances: bit for bit where that was promised.

    With --layers the tensors inside are compared, too, and the first one that differs by more than
    rounding is named: between runtimes, two files, or with --against int8 two variants.
    """
    from edgecnn.agreement import parity
    from edgecnn.cli._progress import progress_bar
    from edgecnn.reports import make_report

    if other is not None and against is not None:
        raise click.UsageError("OTHER and --against both say what to compare with: give one.")
    bundle = _bundle(model)
    if cpus:
        from edgecnn.cli._parity_as import run

        run(bundle, names(cpus), variants, threads=options["threads"], as_json=as_json)
        return
    if layers:
        from edgecnn.cli import _parity_layers

        _parity_layers.run(
            bundle or str(model),
            variants,
            against or other,
            runtime=runtime,
            provider=provider,
            as_json=as_json,
            **options,
        )
        return
    with progress_bar() as progress:
        found = parity(
            bundle or str(model),
            names(variants) if variants else None,
            against or other,
            runtime=names(runtime),
            provider=names(provider) if provider else None,
            progress=progress,
            **options,
        )
    report = make_report("parity", found, found.measured)
    if bundle:
        keep_report(report, bundle.folder)
    if as_json:
        print_report(report)
    else:
        _print(found)
    for text in found.notes:
        note(text)
    stop_if_lost(found.failures)
    golden = found.inputs.startswith("golden")
    remedies = _REMEDIES if golden else _FILE_REMEDIES
    stop_unless_passed(found.verdict, remedies.get(found.verdict.outcome, ""))


def _bundle(model: Path | None) -> Bundle | None:
    return None if model is not None and not model.is_dir() else find_bundle(model)


def _print(found: ParityReport) -> None:
    from edgecnn.cli._show import table

    columns = ["", "against", "max abs", "mean", "cosine", "SQNR dB", "top-1", ""]
    rows = [_row(found, comparison) for comparison in found.comparisons]
    rows += [lost_row(failure, len(columns)) for failure in found.failures]
    table(_title(found), columns, rows)
    worst = [row for comparison in found.comparisons for row in _worst(found, comparison)]
    if worst:
        columns = ["", "against", "image", "error", "output", "expected", "answer"]
        table("Worst images", columns, worst)
    if found.verdict.outcome == "pass":
        say("Every comparison is within its tolerance.")


def _title(found: ParityReport) -> str:
    if found.inputs == "no inputs":
        return "Parity of files that take no inputs"
    if found.seed is not None:
        inputs = found.inputs if found.images != 1 else found.inputs.removesuffix("s")
        return f"Parity on {found.images} {inputs} (seed {found.seed})"
    of = "" if found.inputs.startswith("golden") else "of "
    return f"Parity on {found.images} {of}{found.inputs}"


def _row(found: ParityReport, comparison: Comparison) -> list[str]:
    agreement, outcome = comparison.agreement, comparison.verdict.outcome
    colour = {"pass": "green", "fail": "red", "inconclusive": "yellow"}[outcome]
    equal = agreement.max_abs == 0
    return [
        *_who(found, comparison),
        f"{agreement.max_abs:.1e}",
        f"{agreement.mean_abs:.1e}",
        f"{agreement.cosine:.6f}",
        "equal" if equal else f"{agreement.sqnr_db:.1f}",
        "" if agreement.top1 is None else f"{100 * agreement.top1:.4g} %",
        f"[{colour}]{outcome}[/]",
    ]


def _worst(found: ParityReport, comparison: Comparison) -> list[list[str]]:
    from rich.markup import escape

    passed = comparison.verdict.outcome == "pass"
    if passed and comparison.against == "own golden":
        return []
    return [
        [
            *_who(found, comparison),
            str(image.index),
            f"{image.error:.1e}",
            f"{image.output:.4g}",
            f"{image.expected_output:.4g}",
            escape(_answer(image)),
        ]
        for image in comparison.worst[: 1 if passed else None]
    ]


def _answer(image: WorstImage) -> str:
    if image.answer == image.expected_answer:
        return image.answer
    return f"{image.answer or 'none'}, not {image.expected_answer or 'none'}"


def _who(found: ParityReport, comparison: Comparison) -> list[str]:
    from rich.markup import escape

    from edgecnn.options import computing

    outputs = {each.output for each in found.comparisons}
    engines = {(each.runtime, each.provider) for each in found.comparisons}
    providers = {each.provider for each in found.comparisons}
    words = [comparison.name]
    if len(outputs) > 1:
        words.append(comparison.output)
    if len(engines) > 1:
        runtime, provider = comparison.runtime, comparison.provider
        words.append(runtime if len(providers) == 1 else f"{runtime}/{provider}")
    words += filter(None, [computing(comparison.precision, comparison.options)])
    return [escape(" ".join(words)), escape(comparison.against)]
