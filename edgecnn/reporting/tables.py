"""Reports of several machines side by side, without a verdict between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import ClassVar

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.report import VariantLatency
from edgecnn.benchmark.summing import intervals
from edgecnn.errors import InputError
from edgecnn.machine import Machine
from edgecnn.options import computing
from edgecnn.reporting import markdown
from edgecnn.reporting.words import size, time
from edgecnn.reports import Report, read_body, read_report
from edgecnn.stats import Interval


@dataclass(frozen=True)
class Column:
    """One report.

    Attributes:
        key: The letter that stands for it.
        file: Its path, as it was named.
        created: When it was written, UTC, ISO 8601.
        machine: What it ran on.
        engine: Runtime, version and provider, in words.
        threads: Threads within an operator.
        batch_size: Images in one call.
        valid: Its figures may be believed.
        reasons: Why not.
    """

    key: str
    file: str
    created: str
    machine: Machine
    engine: str
    threads: int
    batch_size: int
    valid: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """What one report says of one variant; None where it does not.

    Attributes:
        variant: Its name.
        key: The report's letter.
        sha256: Digests of the variant's files, by name; empty where the report does not say.
        median: Median latency in seconds, with its interval over sessions.
        p90_seconds: 90th percentile.
        p99_seconds: 99th percentile.
        cold_start_seconds: From nothing to the first answer in a fresh process.
        peak_bytes: Most memory of the whole process; 0 if unknown.
    """

    variant: str
    key: str
    sha256: dict[str, str]
    median: Interval | None
    p90_seconds: float | None
    p99_seconds: float | None
    cold_start_seconds: float | None
    peak_bytes: int


@dataclass(frozen=True)
class SideBySide:
    """Reports of `edgecnn bench` side by side.

    Attributes:
        columns: The reports, in the order in which they were named.
        rows: By variant, then in that order.
        notes: What makes rows differ besides the machine: other files, threads, batches, versions.
    """

    KIND: ClassVar[str] = "report-table"
    VERSION: ClassVar[int] = 1

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def side_by_side(files: Sequence[Path | str]) -> SideBySide:
    """Put reports of `edgecnn bench`, of any machine and version, side by side.

    Args:
        files: At least one report.

    Raises:
        InputError: One of them is none.
    """
    if not 0 < len(files) <= len(ascii_uppercase):
        raise InputError(
            f"{len(files)} reports make no table.", f"Name 1 to {len(ascii_uppercase)}."
        )
    found = [_read(Path(file), key) for file, key in zip(files, ascii_uppercase, strict=False)]
    rows = [row for _, own in found for row in own]
    order = list(dict.fromkeys(row.variant for row in rows))
    rows.sort(key=lambda row: (order.index(row.variant), row.key))
    columns = [column for column, _ in found]
    return SideBySide(tuple(columns), tuple(rows), tuple(_notes(columns, rows)))


HEAD = ("", "on", "median", "95 % interval", "p99", "cold start", "peak")


def cells(row: Row) -> tuple[str, ...]:
    """Give a row as text, under `HEAD`."""
    median = row.median
    return (
        row.variant,
        row.key,
        time(median.estimate) if median else "-",
        _range(time(median.low), time(median.high)) if median else "-",
        *(
            "-" if seconds is None else time(seconds)
            for seconds in (row.p99_seconds, row.cold_start_seconds)
        ),
        size(row.peak_bytes) if row.peak_bytes else "-",
    )


def legend(column: Column) -> str:
    """Say what a letter stands for."""
    machine = column.machine
    threads = "1 thread" if column.threads == 1 else f"{column.threads} threads"
    doubt = "" if column.valid else f"; NOT VALID: {'; '.join(column.reasons)}"
    return (
        f"{machine.cpu}, {machine.allowed_cores} of {machine.cores} cores, {machine.system}; "
        f"{column.engine}, {threads}, batch {column.batch_size}; {column.created[:10]}{doubt}"
    )


def as_markdown(found: SideBySide) -> str:
    """Write it as GitHub-flavoured Markdown, ending in a newline."""
    letters = [(column.key, legend(column)) for column in found.columns]
    parts = [
        "### edgecnn bench on several machines",
        markdown.table(HEAD, map(cells, found.rows), left=2),
        markdown.table(("", "measured on"), letters, left=2),
        *(markdown.escape(note) for note in found.notes),
    ]
    return "\n\n".join(parts) + "\n"


def _range(low: str, high: str) -> str:
    """Name a unit that both ends share once."""
    number, _, unit = low.partition(" ")
    return f"{number if high.endswith(f' {unit}') else low} to {high}"


def _read(path: Path, key: str) -> tuple[Column, list[Row]]:
    if path.is_dir():
        reports = f"{path}/reports/*-bench-*.json"
        raise InputError(f"{path} is a folder, not a report.", f"Name its reports: {reports}.")
    report = read_report(path)
    body = read_body(report, BenchReport, where=str(path))
    setup = body.setup
    versions = ", ".join(f"{name} {number}" for name, number in setup.versions.items())
    how = computing(setup.precision, setup.options)
    column = Column(
        key=key,
        file=str(path),
        created=report.created,
        machine=report.machine,
        engine=f"{setup.runtime} ({versions}) on {setup.provider}{how and f', {how}'}",
        threads=setup.threads,
        batch_size=setup.batch_size,
        valid=body.valid,
        reasons=body.reasons,
    )
    return column, [_row(report, body, row, key) for row in body.variants]


def _row(report: Report, body: BenchReport, row: VariantLatency, key: str) -> Row:
    cold = row.cold_start
    return Row(
        variant=row.variant,
        key=key,
        sha256=_digests(report, row.variant),
        # Computed anew: reports of version 1 hold no intervals.
        median=intervals(row.variant, body.samples).get("median"),
        p90_seconds=row.p90_seconds,
        p99_seconds=row.p99_seconds,
        cold_start_seconds=cold.total_seconds if cold else None,
        peak_bytes=row.peak_bytes,
    )


def _digests(report: Report, variant: str) -> dict[str, str]:
    # A variant's files bear its name: `fp32.onnx`, `fp32.bin`; a plain file is its own.
    return {
        name: digest
        for name, digest in report.measured.items()
        if name == variant or name.rpartition(".")[0] == variant
    }


def _notes(columns: Sequence[Column], rows: Sequence[Row]) -> Iterator[str]:
    for variant in dict.fromkeys(row.variant for row in rows):
        own = [row for row in rows if row.variant == variant]
        if len({tuple(sorted(row.sha256.items())) for row in own}) > 1:
            keys = ", ".join(row.key for row in own)
            yield f"{variant} is not the same file on {keys}."
    for what, values in (
        ("threads", {column.threads for column in columns}),
        ("batch size", {column.batch_size for column in columns}),
        ("engine", {column.engine for column in columns}),
    ):
        if len(values) > 1:
            yield f"Not all were measured with the same {what}."
