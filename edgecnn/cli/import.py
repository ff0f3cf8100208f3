"""Make a bundle of a net that is trained already: PyTorch weights or an ONNX file."""

from __future__ import annotations

import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli._contract import contract_options, take_choice
from edgecnn.cli._options import (
    data_dir_option,
    json_option,
    keep_report,
    model_argument_option,
    model_option,
    note,
    print_report,
    skip_broken_option,
    test_fraction_option,
)
from edgecnn.cli._progress import progress_bar
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.importing import ImportReport


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE.onnx]")
@model_option
@model_argument_option
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="The net's weights: safetensors or a PyTorch file.  [default: those that come with "
    "lenet and resnet8]",
)
@click.option(
    "--weights-key",
    metavar="KEY",
    help="Entry of a checkpoint that holds the weights, where there are several.",
)
@contract_options
@click.option(
    "--data",
    metavar="SOURCE",
    help="Labelled images to calibrate and judge it on, without which there is no int8: a folder, "
    "a .npz file, cifar10 or synthetic.",
)
@data_dir_option
@test_fraction_option
@skip_broken_option
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the bundle.  [default: runs/NAME]",
)
@click.option(
    "--detective/--no-detective",
    default=True,
    show_default=True,
    help="With --data, try the usual other ways to prepare pictures, and say if one is better.",
)
@click.option("--force", is_flag=True, help="Replace the bundle that is there.")
@json_option
def command(
    file: Path | None, model_arguments: tuple[str, ...], *, as_json: bool, **options: Any
) -> None:
    """Make a bundle of a net that is trained already: PyTorch weights or an ONNX file.

    How pictures become its input is taken from what travels with the model; what was assumed is
    printed, line by line, as the flags that change it.
    """
    from edgecnn.importing import import_model
    from edgecnn.recipe import parse_arguments
    from edgecnn.reports import make_report

    choice, arguments = take_choice(options), parse_arguments(model_arguments)
    # A net may print while it runs, and stdout is for the result.
    with progress_bar() as progress, redirect_stdout(sys.stderr):
        found = import_model(
            file,
            model_arguments=arguments,
            choice=choice,
            progress=progress,
            **options,
        )
    report = make_report("import", found, {found.weights or found.source: found.sha256})
    keep_report(report, Path(found.bundle))
    for text in found.notes:
        note(text)
    if as_json:
        print_report(report)
    else:
        _print(found)


def _print(found: ImportReport) -> None:
    origin = found.model.source if found.model else found.source
    outputs = ", ".join(f"{name} {list(shape)}" for name, shape in found.outputs.items())
    say(f"{origin}: {found.parameters:,} parameters, gives {outputs}.")
    if found.proof:
        say(found.proof.sentence)
    say("\nPictures become its input like this:\n")
    for line in found.contract_lines:
        say(f"  {line}")
    if found.detection:
        say(f"\n{found.detection.sentence}")
    say(f"\nBundle: {found.bundle}")
    folder = Path(found.bundle)
    place = "" if folder.parent == Path("runs") else f" {shlex.quote(found.bundle)}"
    if found.detection and found.detection.best:
        flags = found.detection.best.flags
        say(f"Next: the same `edgecnn import` with {flags} --force")
    else:
        say(f"Next: edgecnn {_next(found)}{place}")


def _next(found: ImportReport) -> str:
    if found.model is None:
        return "quantize" if found.data and "fp32" in found.variants else "parity"
    return "export --quantize" if found.data else "export"
