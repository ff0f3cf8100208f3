"""What a report is made of: a bundle and everything that was measured of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from edgecnn.bundle import Bundle
from edgecnn.errors import InputError
from edgecnn.reports import Body, Report, read_body, read_report


@dataclass(frozen=True)
class Kept(Generic[Body]):
    """A report that is kept in the bundle.

    Attributes:
        path: Its file.
        report: The report: command, time, machine, digests of what was measured.
        body: What the command produced.
        outdated: Files of the bundle that are other ones now than those that were measured.
    """

    path: Path
    report: Report
    body: Body
    outdated: tuple[str, ...] = ()


@dataclass(frozen=True)
class Broken:
    """A file among the reports that cannot be read.

    Attributes:
        file: Its name in `reports/`.
        problem: Why, in a sentence without its subject.
    """

    file: str
    problem: str


@dataclass
class Material:
    """A bundle and its reports; a report is parsed when it is first asked for.

    Attributes:
        bundle: The bundle.
        broken: Reports that could not be read so far.
    """

    bundle: Bundle
    broken: list[Broken] = field(default_factory=list)
    _found: list[tuple[Path, Report]] = field(default_factory=list)
    _kept: dict[type[Any], tuple[Kept[Any], ...]] = field(default_factory=dict)

    @property
    def reports(self) -> tuple[tuple[Path, Report], ...]:
        """Every report that could be read, the newest first, with its body as plain values."""
        return tuple(self._found)

    def all(self, kind: type[Body]) -> tuple[Kept[Body], ...]:
        """Give every report of a kind, the newest first.

        Args:
            kind: The dataclass of its body, such as `BenchReport`.
        """
        if kind not in self._kept:
            self._kept[kind] = tuple(self._read(kind))
        return self._kept[kind]

    def newest(self, kind: type[Body]) -> Kept[Body] | None:
        """Give the newest report of a kind; None if there is none.

        Args:
            kind: The dataclass of its body, such as `BenchReport`.
        """
        return next(iter(self.all(kind)), None)

    def _read(self, kind: type[Body]) -> Iterator[Kept[Body]]:
        for path, report in self._found:
            if report.kind != kind.KIND:
                continue
            try:
                body = read_body(report, kind, where=str(path))
            except InputError as error:
                self.broken.append(_broken(path, error))
            else:
                yield Kept(path, report, body, _outdated(report, self.bundle))


def collect(bundle: Bundle) -> Material:
    """Read a bundle's reports; those that cannot be read are named in `broken`."""
    material = Material(bundle)
    for path in sorted((bundle.folder / "reports").glob("*.json")):
        try:
            material._found.append((path, read_report(path)))
        except InputError as error:
            material.broken.append(_broken(path, error))
    material._found.sort(key=lambda found: found[1].created, reverse=True)
    return material


def _broken(path: Path, error: InputError) -> Broken:
    return Broken(path.name, error.problem.removeprefix(str(path)).strip())


def _outdated(report: Report, bundle: Bundle) -> tuple[str, ...]:
    now = bundle.files
    changed = [name for name in report.measured if name in now]
    return tuple(name for name in changed if report.measured[name] != now[name].sha256)
