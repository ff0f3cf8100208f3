"""How a report is written: one JSON file for each run, with what it measured and on what machine.

A report's dataclass lives beside what produces it; this module only wraps, writes and reads. That
dataclass declares

    KIND: ClassVar[str]       the command
    VERSION: ClassVar[int]    of its layout, 1 if left out; a field that comes, goes or changes
                              makes a new one: the JSON Schema of a version never changes

and, where an older body lacks what has no default or means another thing, a static method
`upgrade(body, version)` that takes an older body as plain values and gives this version's; and,
where values may contradict one another, a method `check()` that then raises a ValueError.
"""

from __future__ import annotations

import copy
import os
import shlex
import sys
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from edgecnn import __version__
from edgecnn.disk import write_atomically
from edgecnn.errors import InputError
from edgecnn.machine import Machine, this_machine
from edgecnn.records import from_builtins, parse_json, to_builtins, to_json

SCHEMA_VERSION = 2  # 1 had no body_version


class Kind(Protocol):
    """What a body's dataclass declares."""

    KIND: ClassVar[str]


Body = TypeVar("Body", bound=Kind)


@dataclass(frozen=True)
class Report:
    """One run of one command.

    Attributes:
        schema_version: Version of this layout.
        kind: The command: `train`, `parity`, `eval`, `bench`, …
        created: When it was written, UTC, ISO 8601.
        edgecnn: Version of edgecnn.
        command: The command line as it can be typed again.
        machine: What it ran on.
        body_version: Version of the body's layout.
        measured: SHA-256 of every file that was measured, by name.
        body: The record that the command produced, as plain values; last, as it may be streamed.
    """

    schema_version: int
    kind: str
    created: str
    edgecnn: str
    command: str
    machine: Machine
    body_version: int = 1
    measured: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


def make_report(kind: str, body: object, measured: dict[str, str]) -> Report:
    """Wrap what a command produced; `measured` maps file names to SHA-256 digests."""
    return Report(
        schema_version=SCHEMA_VERSION,
        kind=kind,
        created=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        edgecnn=__version__,
        command=command_line(),
        machine=this_machine(),
        body_version=version_of(type(body)),
        measured=measured,
        body=to_builtins(body),
    )


def write_report(report: Report, folder: Path) -> Path:
    """Write a report into `reports/` of a bundle and give its path.

    Raises:
        InputError: The disk is full or not writable.
    """
    stamp = report.created.replace(":", "-").replace("+00-00", "Z")
    name = f"{stamp}-{report.kind}-{report.machine.name}-{os.getpid()}.json"
    path = folder / "reports" / name
    write_atomically(path, to_json(report))
    return path


def read_report(path: Path) -> Report:
    """Read a report back, of this layout or an older one.

    Raises:
        InputError: The file is missing, is no report, or a newer edgecnn wrote it.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    data = parse_json(text, where=str(path))
    version = data.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise _newer(str(path), data.get("edgecnn"))
    report = from_builtins(Report, data, where=str(path))
    try:
        datetime.fromisoformat(report.created.replace("Z", "+00:00"))
    except ValueError as error:
        raise InputError(f"{path} is not valid: '{report.created}' is no time.") from error
    return report


def read_body(report: Report, kind: type[Body], *, where: str = "The report") -> Body:
    """Give what the command produced, as its dataclass; an older body is upgraded.

    Args:
        report: A report of this kind, of this version or an older one.
        kind: The dataclass, such as `BenchReport`.
        where: What is being read, for errors.

    Raises:
        InputError: The report is of another kind or a newer version, or its body is not valid.
    """
    current = version_of(kind)
    if report.kind != kind.KIND:
        raise InputError(
            f"{where} is a report of `{report.kind}`, not of `{kind.KIND}`.", "Name another file."
        )
    if report.body_version > current:
        raise _newer(where, report.edgecnn)
    body = report.body
    if report.body_version < current and hasattr(kind, "upgrade"):
        body = _upgraded(kind, report, where)
    found = from_builtins(kind, body, where=where)
    if hasattr(found, "check"):
        try:
            found.check()
        except ValueError as error:
            raise InputError(f"{where} is damaged or was edited: {error}.") from error
    return found


def version_of(kind: type) -> int:
    """Give the version of a body's layout; 1 if its dataclass declares none."""
    return getattr(kind, "VERSION", 1)


def _newer(where: str, version: object) -> InputError:
    return InputError(
        f"{where} was written by edgecnn {version} in a newer layout, which this version "
        f"({__version__}) cannot read.",
        "Install that version or a newer one: `pip install --upgrade edgecnn`.",
    )


def _upgraded(kind: Any, report: Report, where: str) -> Any:
    try:
        return kind.upgrade(copy.deepcopy(report.body), report.body_version)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{where} is not valid: version {report.body_version} of `{report.kind}` has no "
            f"{error}."
        ) from error


def command_line() -> str:
    """Give the command that is running, as a shell would take it."""
    program = Path(sys.argv[0]).name or "python"
    return shlex.join([program, *sys.argv[1:]])
