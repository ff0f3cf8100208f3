"""The command line: one file for each command, loaded when the command is used.

The first line of a command's file is what `edgecnn --help` says of it, read as text, so that the
help imports no command. A command's file defines `command`, a click command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import click

from edgecnn import __version__
from edgecnn.errors import EdgeCNNError

_COMPLETE = "_EDGECNN_COMPLETE"  # set by click's shell completion
_NARROWEST, _TWO_COLUMNS, _WIDEST = 20, 60, 80  # of help, in characters
_OWN_FAULT = 70  # EX_SOFTWARE: none of the codes in errors.py


class _Help(click.HelpFormatter):
    """Help that fits a narrow terminal; click's own is never narrower than 50 columns."""

    def __init__(self, *arguments: Any, **others: Any) -> None:
        from shutil import get_terminal_size

        super().__init__(*arguments, **others)
        self.width = max(_NARROWEST, min(get_terminal_size().columns, _WIDEST)) - 2

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write names and what they mean; on a narrow terminal the meaning stands below."""
        super().write_dl(rows, col_max if self.width > _TWO_COLUMNS else 10, col_spacing)


class _Context(click.Context):
    formatter_class = _Help


class Commands(click.Group):
    """A group whose commands are the files of this folder."""

    context_class = _Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order in which people meet them."""
        found = _files()
        return [*(name for name in _ORDER if name in found), *sorted(found.keys() - set(_ORDER))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's file."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = import_module(f"edgecnn.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        command.context_class = _Context
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print each command's first line without importing it."""
        files = _files()
        rows = [(name, _summary(files[name])) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


_ORDER = (
    "train", "import", "export", "quantize", "parity", "eval", "predict", "bench", "profile",
    "tune", "report", "inspect", "verify", "doctor", "demo",
)  # fmt: skip


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="edgecnn %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def edgecnn(debug: bool) -> None:
    """Take a CNN to the edge: train, export, quantize, check and measure it.

    Begin with `edgecnn demo`, or with `edgecnn train`.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    _open_closed_streams()
    _forgive_other_encodings()
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if _COMPLETE in os.environ:
        edgecnn.main(arguments, prog_name="edgecnn", complete_var=_COMPLETE)
    sys.exit(_run(arguments))


def _run(arguments: list[str]) -> int:
    # Not click's own main(): it turns a closed pipe into exit 1, which here means a failed gate.
    try:
        with edgecnn.make_context("edgecnn", list(arguments)) as context:
            edgecnn.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        _show_usage(error)
        return 2
    except (click.Abort, KeyboardInterrupt, EOFError):
        click.echo("Interrupted.", err=True)
        return 130
    except BrokenPipeError:
        return _closed_pipe()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # rich's way to end
            return _closed_pipe()
        raise
    except Exception as error:
        if "--debug" in arguments:
            import traceback

            traceback.print_exc()
        return _explain(error)
    return 0


def _explain(error: Exception) -> int:
    if isinstance(error, EdgeCNNError):
        show_error(error)
        return error.exit_code
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"Error: {where}{error.strerror}.", err=True)
        return 2
    click.echo(f"Error: edgecnn itself failed, {type(error).__name__}: {error}", err=True)
    click.echo("Say `edgecnn --debug …` to see where, and please report it.", err=True)
    return _OWN_FAULT


def _show_usage(error: click.ClickException) -> None:
    from io import StringIO

    from edgecnn.cli._terminal import say

    error.show(text := StringIO())
    say(text.getvalue().rstrip("\n"), stderr=True)


def show_error(error: EdgeCNNError) -> None:
    """Print an error and its remedy, and a table of what was needed if it has one."""
    from edgecnn.cli._terminal import say
    from edgecnn.errors import UnavailableError

    say(f"Error: {error.problem}", stderr=True)
    if isinstance(error, UnavailableError) and error.requirements:
        from edgecnn.cli._show import requirements_table

        requirements_table(error.requirements)
    if error.remedy:
        say(error.remedy, stderr=True)


def _files() -> dict[str, str]:
    # No pathlib here: importing it is a twentieth of the time that `edgecnn --help` takes.
    with os.scandir(__path__[0]) as entries:
        paths = {entry.name: entry.path for entry in entries}
    modules = [name for name in paths if name.endswith(".py") and not name.startswith("_")]
    return {name.removesuffix(".py"): paths[name] for name in modules}


def _summary(path: str) -> str:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        return file.readline().strip().strip('"').rstrip(".")


def _open_closed_streams() -> None:
    # Python gives None for a stream that the shell closed (`>&-`).
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115


def _forgive_other_encodings() -> None:
    # UTF-8 writes everything, and `edgecnn --help` imports nothing that it can do without.
    encodings = (getattr(stream, "encoding", None) for stream in (sys.stdout, sys.stderr))
    if any(name and name.lower() not in ("utf-8", "utf8") for name in encodings):
        from edgecnn.cli._terminal import forgive

        forgive()


def _closed_pipe() -> int:
    # Whoever read stdout has gone; what is still buffered must not raise again at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + 13  # as a shell reports SIGPIPE
