"""`edgecnn export --format c`: the options that are about C alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgecnn.cli._alone import typed_beside
from edgecnn.cli._options import not_empty
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.converting import ConvertReport

Command = TypeVar("Command", bound=Callable[..., Any])

C = "c"
C_OPTIONS = frozenset({"prefix", "max_flash", "max_ram", "layout", "output", "force"})
LAYOUTS = ("arduino", "cmake", "esp-idf")
_CONVERTERS = ("prefix", "max_flash", "max_ram")


def c_options(command: Command) -> Command:
    """Add the options about C."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def refuse_c_options(wanted: str) -> None:
    """Refuse what is about C beside another format, and what needs a flag that is not there.

    Raises:
        UsageError: It was given.
    """
    context = click.get_current_context()
    every = {str(option.name) for option in context.command.params}
    typed = typed_beside(every - C_OPTIONS)
    for flag in typed:
        if wanted != C:
            raise click.UsageError(f"{flag} is about --format c; name that, or leave it out.")
    if "--layout" in typed and "--output" not in typed:
        raise click.UsageError("--layout needs a folder to write to: add --output FOLDER.")
    for flag in {"--output", "--force"} & set(typed):
        if "--layout" not in typed:
            raise click.UsageError(f"{flag} is where a --layout goes; name one, or leave it out.")


def as_engine_options(given: dict[str, Any]) -> Iterator[str]:
    """Take the converter's options out of a command's, as `NAME=VALUE`."""
    for name in _CONVERTERS:
        value = given.pop(name)
        if value is not None:
            yield f"{name.replace('_', '-')}={value}"


def refuse_layout_folder(output: Path | None, *, force: bool) -> None:
    """Refuse a folder that exists before anything is converted.

    Raises:
        InputError: It does.
    """
    if output is not None:
        from edgecnn.codegen.project_layouts import refuse_folder

        refuse_folder(output, force=force)


def write_layout(
    found: ConvertReport, layout: str | None, output: Path | None, *, force: bool, as_json: bool
) -> None:
    """Lay out what was converted, where that was asked for, and say so."""
    if layout is None or output is None:
        return
    from edgecnn.bundle import open_bundle
    from edgecnn.codegen import project_layouts

    files = project_layouts.write_layout(
        open_bundle(Path(found.bundle)), found.variant, layout, output, force=force
    )
    if not as_json:
        say(f"{output}: {len(files)} files for {layout}; {output}/README.md says how to build it.")


def _size(context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    from edgecnn.errors import InputError
    from edgecnn.units import size_bytes

    if text is None:
        return None
    try:
        size_bytes(text)
    except InputError as error:
        raise click.BadParameter(f"{error.problem} {error.remedy}", context, option) from error
    return text


_OPTIONS = (
    click.option(
        "--prefix",
        metavar="NAME",
        callback=not_empty,
        help="Of c: what the names of its functions begin with.  [default: the bundle's name]",
    ),
    click.option(
        "--max-flash",
        metavar="SIZE",
        callback=_size,
        help="Of c: refuse a net that needs more flash for weights and code, such as 256KiB.",
    ),
    click.option(
        "--max-ram",
        metavar="SIZE",
        callback=_size,
        help="Of c: refuse a net that needs more RAM for image, activations, answer and stack.",
    ),
    click.option(
        "--layout",
        type=click.Choice(LAYOUTS),
        help="Of c: write it to --output, too, as a folder that these open.",
    ),
    click.option(
        "--output",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Of c: where a --layout goes.",
    ),
    click.option("--force", is_flag=True, help="Of c: replace the layout that is there."),
)
