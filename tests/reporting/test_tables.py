"""Reports of several machines in one table, and no verdict between them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgecnn.benchmark import BenchReport
from edgecnn.errors import InputError
from edgecnn.records import to_json
from edgecnn.reporting.tables import as_markdown, cells, legend, side_by_side
from edgecnn.reports import make_report
from tests.benchmark.test_figures import NEW, OLD, made_up

if TYPE_CHECKING:
    from tests.conftest import TypeCommand

DIGESTS = {"fp32.onnx": "a" * 64, "baseline fp32.onnx": "b" * 64}


def write(path: Path, body: BenchReport, cpu: str, digests: dict[str, str] = DIGESTS) -> Path:
    report = make_report("bench", body, digests)
    report = replace(report, machine=replace(report.machine, cpu=cpu))
    path.write_bytes(to_json(report))
    return path


def two(tmp_path: Path) -> list[Path]:
    doubtful = replace(made_up(1.5), valid=False, reasons=("others took the CPU",))
    return [
        write(tmp_path / "a.json", made_up(), "Z80"),
        write(tmp_path / "b.json", doubtful, "6502 | turbo"),
    ]


def test_machines_lie_side_by_side(tmp_path: Path) -> None:
    found = side_by_side(two(tmp_path))
    assert [(row.variant, row.key) for row in found.rows] == [
        (OLD, "A"),
        (OLD, "B"),
        (NEW, "A"),
        (NEW, "B"),
    ]
    medians = [row.median.estimate for row in found.rows if row.median]
    assert medians[3] / medians[2] == pytest.approx(1.5 / 1.1)
    assert cells(found.rows[2])[:3] == ("fp32", "A", "112 µs")
    assert found.rows[2].sha256 == {"fp32.onnx": "a" * 64}
    assert found.notes == ()
    assert legend(found.columns[0]).startswith("Z80, ")
    assert legend(found.columns[1]).endswith("; NOT VALID: others took the CPU")


def test_what_differs_besides_the_machine_is_told(tmp_path: Path) -> None:
    setup = replace(made_up().setup, threads=2, batch_size=4)
    other = replace(made_up(), setup=setup)
    files = [*two(tmp_path), write(tmp_path / "c.json", other, "Z80", {"fp32.onnx": "c" * 64})]
    notes = side_by_side(files).notes
    assert "fp32 is not the same file on A, B, C." in notes
    assert "Not all were measured with the same threads." in notes
    assert "Not all were measured with the same batch size." in notes
    assert not any("engine" in note for note in notes)


def test_as_markdown(tmp_path: Path) -> None:
    lines = as_markdown(side_by_side(two(tmp_path))).splitlines()
    assert lines[0].startswith("### ")
    assert [line for line in lines if line.startswith("| fp32 | A | 112 µs |")]
    assert [line for line in lines if line.startswith(r"| B | 6502 \| turbo, ")]


def test_as_it_is_typed(type_command: TypeCommand, tmp_path: Path) -> None:
    files, summary = two(tmp_path), tmp_path / "table.md"
    done = type_command("report", "--table", *files, "--markdown", summary)
    assert done.code == 0
    assert "baseline fp32" in done.out
    table = [line.rstrip() for line in done.out.split("A  Z80")[0].splitlines()]
    assert max(map(len, table)) <= 80
    assert "NOT VALID: others took the" in done.out
    assert summary.read_text().startswith("### ")
    document = json.loads(type_command("report", "--table", *files, "--json").out)
    assert document["kind"] == "report-table"
    assert [column["key"] for column in document["body"]["columns"]] == ["A", "B"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--table"], "needs report files"),
        (["--table", "a.json", "--open"], "leave --open out"),
        (["a.json"], "use --table"),
        (["--markdown", "x.md"], "goes with --table"),
        (["--table", "none.json"], "cannot be read"),
        (["--table", "eval.json"], "is a report of `eval`"),
    ],
)
def test_what_makes_no_table(
    words: list[str],
    said: str,
    type_command: TypeCommand,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    two(tmp_path)
    (tmp_path / "eval.json").write_bytes(to_json(make_report("eval", {}, {})))
    done = type_command("report", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_folder_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder, not a report") as refused:
        side_by_side([tmp_path])
    assert f"{tmp_path}/reports/*-bench-*.json" in refused.value.remedy


def test_letters_run_out() -> None:
    with pytest.raises(InputError, match="27 reports"):
        side_by_side(["x"] * 27)
