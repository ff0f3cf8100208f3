"""Options that say how pictures become a net's input: fields of the input contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edgecnn.importing import Choice

Command = TypeVar("Command", bound=Callable[..., Any])
Reader = Callable[[object], Any]


def _reading(reader: str) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    def read(context: click.Context, option: click.Parameter, text: str | None) -> Any:
        if text is None:
            return None
        from edgecnn.importing import fields

        try:
            return getattr(fields, reader)(text)
        except ValueError as error:
            raise click.BadParameter(f"Write {error}.", context, option) from None

    return read


input_size_option = click.option(
    "--input-size", metavar="HxW", callback=_reading("read_size"), help="Size of the input."
)
mean_option = click.option(
    "--mean",
    metavar="R,G,B|GRAY",
    callback=_reading("read_numbers"),
    help="Subtracted after scaling, in the order of the channels.",
)
std_option = click.option(
    "--std",
    metavar="R,G,B|GRAY",
    callback=_reading("read_numbers"),
    help="Divided by last, in the order of the channels.",
)
resize_option = click.option(
    "--resize",
    metavar="RULE",
    callback=_reading("read_resize"),
    help="stretch, crop:N (shorter side to N, centre crop) or letterbox.",
)


def color_option(*colors: str) -> Callable[[Command], Command]:
    """Give the option `--color` with the colours that a command can use."""
    return click.option("--color", type=click.Choice(colors), help="Channels of the input.")


_OF_IMPORT = (
    input_size_option,
    color_option("rgb", "bgr", "gray"),
    click.option(
        "--scale",
        metavar="NUMBER",
        callback=_reading("read_scale"),
        help="What pixels are multiplied by, such as 1/255 or 1.",
    ),
    mean_option,
    std_option,
    resize_option,
    click.option("--filter", metavar="NAME", help="Resampling filter: bilinear, bicubic, …"),
    click.option("--layout", type=click.Choice(["nchw", "nhwc"]), help="Axes of the float input."),
    click.option(
        "--labels",
        "labels",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File with one class name on each line, in the order of the outputs.",
    ),
    click.option(
        "--output-kind",
        type=click.Choice(["logits", "probabilities", "other"]),
        help="What the outputs are.",
    ),
    click.option(
        "--output-name",
        "score_output",
        metavar="NAME",
        help="The output that holds the scores of the classes, where there are several.",
    ),
    click.option(
        "--contract",
        type=click.Path(path_type=Path, dir_okay=False),
        help="TOML file with the same fields; flags go before it.",
    ),
)
_FIELDS = (
    *("input_size", "color", "scale", "mean", "std", "resize", "filter", "layout"),
    *("labels", "output_kind", "score_output"),
)


def contract_options(command: Command) -> Command:
    """Add the options of a whole contract, and `--contract`."""
    for option in reversed(_OF_IMPORT):
        command = option(command)
    return command


def take_choice(options: dict[str, Any]) -> Choice:
    """Take the fields of a contract out of a command's options."""
    from edgecnn.data import read_labels
    from edgecnn.importing import Choice

    given = {name: options.pop(name) for name in _FIELDS}
    labels, output = given.pop("labels"), given.pop("score_output")
    return Choice(**given, labels=read_labels(labels) if labels else None, output=output)
