"""Reports: one file for each run, named by time, command and machine; read back strictly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from edgecnn import __version__, reports
from edgecnn.errors import InputError
from edgecnn.machine import this_machine


@dataclass(frozen=True)
class Body:
    times: tuple[float, ...]


def test_a_report_comes_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/edgecnn", "bench", "my net", "--json"])
    report = reports.make_report("bench", Body((1.5, 2.5)), {"fp32.onnx": "ab"})
    path = reports.write_report(report, tmp_path)
    again = reports.read_report(path)
    assert again == report
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


def test_a_report_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where the folder should be")
    report = reports.make_report("eval", Body(()), {})
    with pytest.raises(InputError, match="could not be written"):
        reports.write_report(report, tmp_path)
