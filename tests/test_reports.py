"""Reports: one file for each run, named by time, command and machine; read back strictly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from edgecnn import __version__, reports
from edgecnn.errors import InputError
from edgecnn.machine import this_machine


@dataclass(frozen=True)
class Body:
    times: tuple[float, ...]


@dataclass(frozen=True)
class Newer:
    """Version 3 of a body that once gave milliseconds, and no unit."""

    KIND: ClassVar[str] = "bench"
    VERSION: ClassVar[int] = 3
    times: tuple[float, ...]
    unit: str

    @staticmethod
    def upgrade(body: dict[str, Any], version: int) -> dict[str, Any]:
        if version < 2:
            body["times"] = [time / 1000 for time in body["times"]]
        return body | {"unit": "s"}


@dataclass(frozen=True)
class Grown:
    KIND: ClassVar[str] = "bench"
    VERSION: ClassVar[int] = 2
    times: tuple[float, ...]
    note: str = ""


def test_a_report_comes_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/edgecnn", "bench", "my net", "--json"])
    report = reports.make_report("bench", Body((1.5, 2.5)), {"fp32.onnx": "ab"})
    path = reports.write_report(report, tmp_path)
    again = reports.read_report(path)
    assert again == report
    assert (again.schema_version, again.body_version) == (reports.SCHEMA_VERSION, 1)
    assert again.body == {"times": [1.5, 2.5]}
    assert again.command == "edgecnn bench 'my net' --json"
    assert again.machine == this_machine()
    assert again.edgecnn == __version__
    assert path.parent == tmp_path / "reports"
    assert "-bench-" in path.name
    assert this_machine().name in path.name
    assert ":" not in path.name


def test_two_reports_at_once_are_two_files(tmp_path: Path) -> None:
    pair = [reports.make_report(kind, Body(()), {}) for kind in ("eval", "bench")]
    assert len({reports.write_report(report, tmp_path) for report in pair}) == 2


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        reports.read_report(tmp_path / "absent.json")
    path = tmp_path / "x.json"
    path.write_text('{"kind": "bench"}')
    with pytest.raises(InputError, match="missing required field"):
        reports.read_report(path)
    path = reports.write_report(reports.make_report("bench", Body(()), {}), tmp_path)
    created = reports.read_report(path).created
    path.write_text(path.read_text().replace(created, "yesterday"))
    with pytest.raises(InputError, match="'yesterday' is no time"):
        reports.read_report(path)


def test_a_report_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where the folder should be")
    report = reports.make_report("eval", Body(()), {})
    with pytest.raises(InputError, match="could not be written"):
        reports.write_report(report, tmp_path)


def test_a_body_is_read_as_what_it_was(tmp_path: Path) -> None:
    body = Newer((1.5,), "s")
    report = reports.make_report("bench", body, {})
    again = reports.read_report(reports.write_report(report, tmp_path))
    assert again.body_version == 3
    assert reports.read_body(again, Newer) == body


@pytest.mark.parametrize(("version", "times"), [(1, (1.5,)), (2, (1500.0,))])
def test_an_older_body_is_upgraded_and_not_changed(version: int, times: tuple[float]) -> None:
    old = replace(reports.make_report("bench", Body((1500.0,)), {}), body_version=version)
    assert reports.read_body(old, Newer) == Newer(times, "s")
    assert old.body == {"times": [1500.0]}


def test_what_has_a_default_needs_no_upgrade() -> None:
    assert reports.read_body(reports.make_report("bench", Body((1.0,)), {}), Grown) == Grown((1.0,))


def test_an_older_body_that_lacks_a_field_is_refused() -> None:
    old = replace(reports.make_report("bench", Body(()), {}), body={})
    with pytest.raises(InputError, match=r"old\.json is not valid: version 1 of `bench`.*'times'"):
        reports.read_body(old, Newer, where="old.json")


def test_another_kind_is_refused() -> None:
    report = reports.make_report("eval", Body(()), {})
    with pytest.raises(InputError, match="a report of `eval`, not of `bench`"):
        reports.read_body(report, Grown)


def test_what_a_newer_edgecnn_wrote_is_refused_and_says_so(tmp_path: Path) -> None:
    report = replace(reports.make_report("bench", Body(()), {}), edgecnn="9.9")
    with pytest.raises(InputError, match=r"written by edgecnn 9\.9 in a newer layout"):
        reports.read_body(replace(report, body_version=4), Newer)
    path = reports.write_report(replace(report, schema_version=9), tmp_path)
    with pytest.raises(InputError, match=r"written by edgecnn 9\.9 in a newer layout"):
        reports.read_report(path)


def test_a_report_without_a_version_of_its_body_has_the_first(tmp_path: Path) -> None:
    path = reports.write_report(reports.make_report("bench", Body((2.0,)), {}), tmp_path)
    text = path.read_text().replace('  "body_version": 1,\n', "")
    path.write_text(text.replace('"schema_version": 2', '"schema_version": 1'))
    assert "body_version" not in text
    assert reports.read_report(path).body_version == 1
