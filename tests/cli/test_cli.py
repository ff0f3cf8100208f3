"""The command line as a whole: its help, its exit codes, what it imports, how it ends."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from edgecnn import __version__, cli, errors

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TypeCommand

COMMANDS = [path.stem for path in Path(cli.__file__).parent.glob("[!_]*.py")]
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
PROGRAM = [sys.executable, "-c", "from edgecnn.cli import main; main()"]
PROMISED = {
    "train", "import", "export", "quantize", "parity", "eval", "predict", "bench", "inspect",
    "verify", "doctor", "demo",
}  # fmt: skip


def test_the_promised_commands_are_there() -> None:
    assert set(COMMANDS) >= PROMISED


def test_help_lists_every_command_with_its_first_line(type_command: TypeCommand) -> None:
    done = type_command("--help")
    assert done.code == 0
    lines = done.out.partition("Commands:\n")[2].splitlines()
    listed = [line.split()[0] for line in lines if not line.startswith("   ")]
    assert set(listed) == set(COMMANDS)
    assert listed[0] == "train"
    assert type_command("-h").out == done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_stands_in_the_readme(
    name: str, type_command: TypeCommand
) -> None:
    done = type_command(name, "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: edgecnn {name} ")
    assert f"edgecnn {name}" in README
    first = (sys.modules[f"edgecnn.cli.{name}"].__doc__ or "").splitlines()[0].rstrip(".")
    assert first in " ".join(type_command("--help").out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_flags_are_hyphenated_and_explained(name: str) -> None:
    command = cli.edgecnn.get_command(click.Context(cli.edgecnn), name)
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            flags = [*parameter.opts, *parameter.secondary_opts]
            assert all("_" not in flag for flag in flags), flags
            assert parameter.help, flags


def test_the_version_is_the_packages(type_command: TypeCommand) -> None:
    done = type_command("--version")
    assert (done.code, done.out) == (0, f"edgecnn {__version__}\n")


IMPORTED = """
import json, sys
from edgecnn.cli import main
for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments)
    except SystemExit as stop:
        assert stop.code == 0, arguments
print(json.dumps(sorted(sys.modules)))
"""
HEAVY = {
    "filelock", "importlib.metadata", "msgspec", "multiprocessing", "numpy", "onnx", "onnx_ir",
    "onnxruntime", "PIL", "rich", "scipy", "torch", "torchvision",
}  # fmt: skip


def imported(*lines: list[str]) -> set[str]:
    child = subprocess.run(
        [sys.executable, "-c", IMPORTED, json.dumps(lines)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(child.stdout.splitlines()[-1]))


def test_help_imports_nothing_heavy_and_no_command() -> None:
    modules = imported(["--help"], ["--version"])
    assert not modules & HEAVY
    ours = {name for name in modules if name.partition(".")[0] == "edgecnn"}
    assert ours == {"edgecnn", "edgecnn.cli", "edgecnn.errors"}


def test_a_commands_help_imports_nothing_heavy() -> None:
    assert not imported(*([name, "--help"] for name in COMMANDS)) & HEAVY


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (errors.GateFailed("no"), 1),
        (errors.InputError("no"), 2),
        (errors.BundleError("no"), 2),
        (errors.UnavailableError("no"), 3),
        (errors.RuntimeCrashed("no"), 4),
        (errors.Inconclusive("no"), 5),
        (click.UsageError("no"), 2),
        (click.exceptions.Exit(3), 3),
        (click.Abort(), 130),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device"), 2),
        (ValueError("a fault of edgecnn's own"), 70),
    ],
)
def test_exit_codes(
    raised: BaseException, code: int, type_command: TypeCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(context: click.Context) -> None:
        raise raised

    monkeypatch.setattr(cli.edgecnn, "invoke", fail)
    done = type_command("doctor")
    assert (done.code, done.out) == (code, "")
    assert "Traceback" not in done.err
    debugged = type_command("--debug", "doctor")
    assert debugged.code == code
    assert ("Traceback" in debugged.err) == isinstance(
        raised, errors.EdgeCNNError | OSError | ValueError
    )


def test_an_error_is_a_problem_a_table_and_a_remedy(
    type_command: TypeCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(context: click.Context) -> None:
        need = errors.Requirement("CUDA [runtime]", "12", "nothing", ok=False)
        raise errors.UnavailableError("There is no CUDA.", "Get a GPU.", (need,))

    monkeypatch.setattr(cli.edgecnn, "invoke", fail)
    lines = type_command("doctor").err.splitlines()
    assert lines[0] == "Error: There is no CUDA."
    assert lines[-1] == "Get a GPU."
    assert any("CUDA [runtime]" in line and "nothing" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["fly"], "No such command 'fly'"),
        (["train", "--fly"], "No such option"),
        (["inspect", "a", "b"], "unexpected extra argument"),
        (["inspect", "/no/such/bundle"], "/no/such/bundle does not exist"),
    ],
)
def test_wrong_usage_ends_with_2(
    arguments: list[str], problem: str, type_command: TypeCommand
) -> None:
    done = type_command(*arguments)
    assert (done.code, done.out) == (2, "")
    assert problem in done.err


def closed_early(*arguments: object) -> tuple[int, str]:
    """Run a command whose reader goes away at once."""
    read, write = os.pipe()
    os.close(read)
    command = [*PROGRAM, *map(str, arguments)]
    child = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    return child.returncode, child.stderr


def test_a_closed_pipe_ends_quietly(make_bundle: MakeBundle) -> None:
    folder = make_bundle(variants=("fp32",)).folder
    for arguments in (["--help"], ["inspect", folder], ["inspect", folder, "--json"]):
        assert closed_early(*arguments) == (141, ""), arguments


@pytest.mark.parametrize("descriptor", [1, 2])
def test_a_stream_that_the_shell_closed_is_no_fault(
    make_bundle: MakeBundle, descriptor: int
) -> None:
    folder = make_bundle(variants=("fp32",)).folder
    closing = ["sh", "-c", f'exec "$@" {descriptor}>&-', "sh", *PROGRAM, "inspect", str(folder)]
    child = subprocess.run(closing, capture_output=True, text=True, check=False)
    assert (child.returncode, child.stderr) == (0, "")
    assert bool(child.stdout) == (descriptor == 2)


@pytest.mark.parametrize("option", ["--variant", "--runtime", "--provider"])
@pytest.mark.parametrize("name", ["parity", "eval", "bench"])
def test_a_list_that_names_nothing_is_no_default(
    name: str, option: str, make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    folder = make_bundle(variants=("fp32",)).folder
    for text in ("", " ,"):
        done = type_command(name, folder, option, text)
        assert (done.code, done.out) == (2, "")
        assert "it names nothing" in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_under_stdout_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        child = subprocess.run(
            [*PROGRAM, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (child.returncode, child.stderr) == (2, "Error: No space left on device.\n")


def test_shell_completion_works() -> None:
    completed = subprocess.run(
        [*PROGRAM],
        env={
            **os.environ,
            "_EDGECNN_COMPLETE": "bash_complete",
            "COMP_WORDS": "edgecnn tr",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.stdout.split() == ["plain,train"]
