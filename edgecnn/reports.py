"""How a report is written: one JSON file for each run, with what it measured and on what machine.

A report's dataclass lives beside what produces it; this module only wraps, writes and reads.
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgecnn import __version__
from edgecnn.disk import write_atomically
from edgecnn.errors import InputError
from edgecnn.machine import Machine, this_machine
from edgecnn.records import from_json, to_builtins, to_json

SCHEMA_VERSION = 1


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
        measured: SHA-256 of every file that was measured, by name.
        body: The record that the command produced, as plain values.
    """

    schema_version: int
    kind: str
    created: str
    edgecnn: str
    command: str
    machine: Machine
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
    """Read a report back.

    Raises:
        InputError: The file is missing or is no report.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    return from_json(Report, text, where=str(path))


def command_line() -> str:
    """Give the command that is running, as a shell would take it."""
    program = Path(sys.argv[0]).name or "python"
    return shlex.join([program, *sys.argv[1:]])
