"""Train a model on pictures and make a bundle of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli._contract import (
    color_option,
    input_size_option,
    mean_option,
    resize_option,
    std_option,
)
from edgecnn.cli._options import (
    data_source_options,
    json_option,
    model_argument_option,
    model_option,
    note,
    print_report,
)
from edgecnn.cli._progress import progress_bar
from edgecnn.cli._qat import fine_tune, qat_option
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.reports import Report
    from edgecnn.training.report import Event, Tell, TrainReport


@click.command()
@click.argument("recipe", required=False)
@model_option
@model_argument_option
@click.option(
    "--data",
    metavar="SOURCE",
    help="synthetic, cifar10, a folder of images or a .npz file.  [default: the recipe's]",
)
@data_source_options
@input_size_option
@color_option("rgb", "bgr", "gray")
@mean_option
@std_option
@resize_option
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training images.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images in one step.")
@click.option(
    "--learning-rate", type=click.FloatRange(min=0, min_open=True), help="Highest learning rate."
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of weights, order, augmentation.")
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads; another number gives other weights."
)
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), help="Precision of the steps.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to train.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the bundle.  [default: runs/NAME]",
)
@click.option("--force", is_flag=True, help="Replace the bundle that is there.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@qat_option
@json_option
def command(
    model_arguments: tuple[str, ...], bundle: Path | None, *, as_json: bool, **options: Any
) -> None:
    """Train a model on pictures and make a bundle of it.

    RECIPE is a name such as lenet, resnet8, lenet/tutorial or resnet8/cifar10, or the path of a
    TOML file; lenet if it is left out. What is not given stays as the recipe has it.
    """
    if bundle is not None:
        fine_tune(bundle, options, _live, as_json=as_json)
        return
    from edgecnn.recipe import parse_arguments
    from edgecnn.training import train

    arguments = parse_arguments(model_arguments)
    with _live() as tell:
        report = train(model_arguments=arguments, tell=tell, **options)
    if as_json:
        print_report(_with_digests(report))
    else:
        _print(report)
    if report.verdict and report.verdict.outcome != "pass":
        note(" ".join(report.verdict.reasons))


@contextmanager
def _live() -> Iterator[Tell]:
    with progress_bar() as progress:

        def tell(event: Event) -> None:
            from edgecnn.training.report import Reading, Step

            if isinstance(event, Reading):
                progress(event.what, event.share)
            elif isinstance(event, Step):
                facts = _facts(event.loss, event.accuracy, event.images_per_second)
                done = (event.epoch - 1) * event.steps + event.step
                share = done / (event.epochs * event.steps)
                what = f"Epoch {event.epoch}/{event.epochs}: {facts}"
                progress(what, share, event.seconds_left)
            elif text := _line(event):
                note(text)

        yield tell


def _line(event: Event) -> str:
    from edgecnn.training.report import Epoch, MeanLoss, Note

    if isinstance(event, Note):
        return event.text
    if isinstance(event, MeanLoss):
        return f"[{event.epoch}, {event.step:5d}] loss: {event.loss:.3f}"
    if isinstance(event, Epoch):
        facts = _facts(event.loss, event.train_accuracy, event.images_per_second)
        held = event.holdout_accuracy
        holdout = "" if held is None else f", holdout {100 * held:.1f} %"
        return f"Epoch {event.epoch}: {facts}{holdout}, {event.seconds:.1f} s"
    return ""


def _facts(loss: float, accuracy: float, speed: float) -> str:
    return f"loss {loss:.3f}, accuracy {100 * accuracy:.1f} %, {speed:,.0f} images/s"


def _with_digests(report: TrainReport) -> Report:
    from edgecnn.bundle import open_bundle
    from edgecnn.reports import make_report

    files = open_bundle(report.bundle).files
    return make_report("train", report, {name: file.sha256 for name, file in files.items()})


def _print(report: TrainReport) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import percent, see_it_all, table

    rows = [
        (
            escape(entry.label),
            percent(entry.correct / entry.images) if entry.images else "no images",
        )
        for entry in report.classes
    ]
    table("Accuracy by class", ("class", "accuracy"), rows)
    found = report.accuracy
    images = sum(entry.images for entry in report.classes)
    say(
        f"Accuracy on {images:,} test images: {percent(found.estimate)} "
        f"(95 % interval {percent(found.low)} to {percent(found.high)})."
    )
    if report.verdict and report.verdict.outcome == "pass":
        say(" ".join(report.verdict.reasons))
    say(f"Bundle: {report.bundle}")
    folder = Path(report.bundle)
    place = "" if folder.parent == Path("runs") else f" {shlex.quote(report.bundle)}"
    say(f"Next: edgecnn export{place} --quantize")
    say(see_it_all(folder))
