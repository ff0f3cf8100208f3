"""Options and arguments that several commands share: one meaning for each flag."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle
    from edgecnn.reports import Report
    from edgecnn.spec import Verdict

Command = TypeVar("Command", bound=Callable[..., Any])


def note(text: str) -> None:
    """Say something on stderr that is not a result."""
    from edgecnn.cli._terminal import say

    say(text, stderr=True)


def find_bundle(folder: Path | None) -> Bundle:
    """Open the bundle that was named, or the newest under `runs/`, and say which."""
    from edgecnn.bundle import newest_bundle, open_bundle

    if folder is not None:
        return open_bundle(folder)
    bundle = newest_bundle()
    note(f"Using {bundle.folder}, the newest bundle.")
    return bundle


def keep_report(report: Report, folder: Path) -> None:
    """Write a report into its bundle; on a disk that cannot be written, say so and go on."""
    from edgecnn.errors import InputError
    from edgecnn.reports import write_report

    try:
        write_report(report, folder)
    except InputError as error:
        note(f"The report is not kept: {error.problem}")


def print_report(report: Report) -> None:
    """Print a report as the one JSON document on stdout."""
    from edgecnn.records import to_json

    click.echo(to_json(report), nl=False)


def stop_unless_passed(verdict: Verdict, remedy: str = "") -> None:
    """Raise what a verdict means for the exit code; nothing if it is `pass`."""
    from edgecnn.errors import GateFailed, Inconclusive

    if verdict.outcome == "fail":
        raise GateFailed("\n".join(verdict.reasons), remedy)
    if verdict.outcome == "inconclusive":
        raise Inconclusive("\n".join(verdict.reasons), remedy)


def names(text: str) -> tuple[str, ...]:
    """Split a list of names at its commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def not_empty(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Refuse a list of names that names nothing, such as that of an unset shell variable."""
    if value is not None and not names(value):
        raise click.BadParameter("it names nothing.", context, option)
    return value


bundle_argument = click.argument(
    "bundle", required=False, type=click.Path(path_type=Path, file_okay=False)
)
variant_option = click.option(
    "--variant",
    "variants",
    metavar="NAME[,NAME]",
    callback=not_empty,
    help="Variants; by default all of the bundle.",
)
runtime_option = click.option(
    "--runtime",
    metavar="NAME|PATH",
    callback=not_empty,
    help="Engine to run on.  [default: as tuned, or ort]",
)
provider_option = click.option(
    "--provider",
    metavar="NAME",
    callback=not_empty,
    help="Where to compute: cpu, cuda, …  [default: cpu]",
)
providers_option = click.option(
    "--provider",
    metavar="NAME[,…]",
    callback=not_empty,
    help="Where to compute.  [default: cpu]",
)
batch_size_option = click.option(
    "--batch-size", type=click.IntRange(min=1), help="Images in one run."
)
model_option = click.option(
    "--model",
    metavar="MODEL",
    help="A PyTorch net: a name on the shelf, FILE.py:factory, package.module:factory, "
    "torchvision:NAME or timm:NAME.",
)
model_argument_option = click.option(
    "--model-arg",
    "model_arguments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Argument of the model's factory; may be repeated.",
)
threads_option = click.option(
    "--threads", type=click.IntRange(min=1), help="Threads.  [default: the cores allowed]"
)
data_option = click.option(
    "--data",
    metavar="SOURCE",
    help="synthetic, cifar10, a folder of images or a .npz file.  [default: the bundle's own]",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)
seed_option = click.option("--seed", type=click.IntRange(min=0), help="Seed.")
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for downloaded data.  [default: data]",
)
test_fraction_option = click.option(
    "--test-fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of images kept for testing, where the folder has no test/ or val/.",
)
labels_option = click.option(
    "--labels",
    "labels_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with one class name on each line, in order.  [default: by name]",
)
skip_broken_option = click.option(
    "--skip-broken", is_flag=True, help="Leave broken images out, and say so."
)


def plain_options(command: Command) -> Command:
    """Add what is said of the inputs of plain ONNX files."""
    for option in (input_shape_option, _inputs_option):
        command = option(command)
    return command


def _shapes(
    context: click.Context, option: click.Parameter, value: tuple[str, ...]
) -> dict[str, tuple[int, ...]]:
    from edgecnn.plain import parse_shapes

    return parse_shapes(value) if value else {}


_inputs_option = click.option(
    "--inputs",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.npz",
    help="For ONNX files: an array for each input, by its name.  [default: random]",
)
input_shape_option = click.option(
    "--input-shape",
    "input_shapes",
    multiple=True,
    metavar="NAME=SIZES",
    callback=_shapes,
    help="For ONNX files: an input's shape where sizes are open, such as x=1x3x224x224.",
)


def runtimes_option(text: str, default: str | None = "ort") -> Callable[[Command], Command]:
    """Give the option `--runtime` of a command that takes several."""
    return click.option(
        "--runtime",
        default=default,
        show_default=default is not None,
        metavar="NAME|PATH[,…]",
        callback=not_empty,
        help=text,
    )


def data_source_options(command: Command) -> Command:
    """Add the options that go with `--data`: keywords of `edgecnn.data.load_dataset`."""
    for option in (skip_broken_option, labels_option, test_fraction_option, data_dir_option):
        command = option(command)
    return command


def engine_options(command: Command) -> Command:
    """Add what is asked of the engine itself: the keyword `options`, None where nothing is."""

    @wraps(command)
    def with_options(
        *arguments: Any, precision: str | None, engine_options: tuple[str, ...], **others: Any
    ) -> Any:
        options = parse_engine_options(precision, engine_options)
        return command(*arguments, options=options or None, **others)

    extended = cast(Command, with_options)
    for option in (_engine_option, _precision_option):
        extended = option(extended)
    return extended


_precision_option = click.option(
    "--precision",
    metavar="NAME",
    callback=not_empty,
    help="What float32 operators compute in: fp32, or less where the runtime offers it, such as "
    "bf16.  [default: fp32]",
)
_engine_option = click.option(
    "--option",
    "engine_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the runtime's own, such as spinning=off; of one among several runtimes, "
    "such as openvino:precision=bf16. May be repeated.",
)


def parse_engine_options(precision: str | None, given: tuple[str, ...]) -> dict[str, str]:
    """Read `--precision NAME` and each `--option NAME=VALUE`.

    Raises:
        UsageError: One is not written so, or two contradict one another.
    """
    options = {} if precision is None else {"precision": precision}
    for text in given:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not (name and sign and value):
            raise click.BadParameter(f"'{text}' is no NAME=VALUE.", param_hint="--option")
        if options.get(name, value) != value:
            raise click.UsageError(f"{name} cannot be both {options[name]} and {value}: say one.")
        options[name] = value
    return options
