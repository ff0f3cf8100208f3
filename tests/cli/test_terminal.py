"""What people see: commands on a real terminal, wide, narrow, without colours; and when piped."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image

from edgecnn.bundle import Bundle
from tests.cli.test_cli import COMMANDS
from tests.conftest import TypeCommand
from tests.reporting import invented
from tests.terminal import PROGRAM, Shown, type_in_terminal

Capture = pytest.CaptureFixture[str]
WIDTHS = [80, 40]
BRIEF = ("--iterations", "8", "--warmup", "1", "--no-cold-start", "--threads", "1")
# Nobody can break what is to be pasted: a path, a command.
UNBREAKABLE = re.compile(r"\s*(\S+|`[^`]+`|edgecnn .+)")
LINES = {
    "verify": ("verify",),
    "inspect": ("inspect",),
    "parity": ("parity", "--runtime", "ort,reference"),
    "eval": ("eval",),
    "predict": ("predict", "pictures"),
    "bench": ("bench", *BRIEF),
    "mistake": ("bench", "--idle", "soon"),
}


@pytest.fixture(scope="module")
def folder(session_bundle: Callable[[str], Bundle]) -> Path:
    """Give a folder with a bundle under runs/, and 40 pictures."""
    bundle = session_bundle("terminal").folder
    runs = bundle.parent / "runs"
    runs.mkdir()
    bundle.rename(runs / "tiny")
    pictures = bundle.parent / "pictures"
    pictures.mkdir()
    for number in range(40):
        Image.new("RGB", (8, 8), (number, 3 * number, 255 - number)).save(
            pictures / f"{number}.png"
        )
    return bundle.parent


def too_wide(lines: Iterable[str], columns: int) -> list[str]:
    return [line for line in lines if len(line) > columns and not UNBREAKABLE.fullmatch(line)]


def piped(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("name", LINES)
def test_lines_fit(name: str, columns: int, folder: Path) -> None:
    shown = type_in_terminal(*LINES[name], columns=columns, folder=folder)
    assert shown.code in ((2,) if name == "mistake" else (0, 5)), shown.text
    assert not too_wide(shown.lines, columns), shown.text
    assert shown.cursor


@pytest.mark.parametrize("columns", WIDTHS)
def test_help_fits(
    columns: int, type_command: TypeCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for name in ("", *COMMANDS):
        done = type_command(*filter(None, [name]), "--help")
        assert done.code == 0
        lines = too_wide(done.out.splitlines(), columns)
        assert all(re.fullmatch(r"  --[a-z-]+ \S+", line) for line in lines), done.out


@pytest.mark.parametrize("columns", WIDTHS)
def test_every_table_of_bench_and_profile_fits(
    columns: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgecnn.cli._bench_scenarios import print_scenarios
    from edgecnn.cli._profile_show import print_profile

    monkeypatch.setenv("COLUMNS", str(columns))
    names = ["fp32", "int8"]
    print_scenarios(invented.scenario_report(names))
    print_profile(invented.profiled(names, ["conv1/Conv", "blocks.0.conv1/Conv", "fc/Gemm"]), 0)
    tables = tuple(line for line in capsys.readouterr().out.splitlines() if "  " in line)
    assert len(tables) > 20
    assert not too_wide(tables, columns)


def test_a_narrow_table_tells_its_rows_apart(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgecnn.cli._show import table

    monkeypatch.setenv("COLUMNS", "40")
    rows = [["fp32", str(n), *["1,234,567.8"] * 3] for n in (1, 2)]
    table("Callers", ["", "callers", "first", "second", "third"], rows)
    out = capsys.readouterr().out
    assert out.count("more columns") == 2
    assert len(re.findall(r"^ fp32 +1  ", out, re.M)) == 3
    assert out.count("1,234,567.8") == 6


def test_a_table_that_cannot_be_divided_becomes_lists(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgecnn.cli._show import table

    monkeypatch.setenv("COLUMNS", "30")
    row = ["edgecnn/0_reshape", "Transpose", "12 %", "", "a longer text than the line takes"]
    table(
        "Layers", ["layer", "operator", "share", "of peak", "why"], [row, ["x", *row[1:]]], left=3
    )
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[2:7] == [
        "layer     edgecnn/0_reshape",
        "operator  Transpose",
        "share     12 %",
        "why       a longer text than",
        "          the line takes",
    ]


@pytest.fixture(scope="module")
def benched(folder: Path) -> Shown:
    return type_in_terminal(
        "bench", "--duration", "1.5s", "--no-cold-start", "--threads", "1", folder=folder
    )


def plain(raw: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", raw)


def test_bench_shows_figures_and_the_time_left_while_it_runs(benched: Shown) -> None:
    before, _, after = plain(benched.raw).partition("Latency in ")
    assert re.search(r"fp32 [\d.]+ µs", before)
    intervals = re.findall(r"ratio [\d.]+ \[([\d.]+), ([\d.]+)\]", before)
    assert len(set(intervals)) > 1
    assert re.search(r"\d+ %  \d:\d\d, about \d:\d\d left", before)
    assert " left" not in after
    assert not re.search(r"about \d:\d\d left|━", benched.text), "the bar must be gone"
    assert benched.cursor
    assert benched.code in (0, 5)


def test_times_are_drawn_as_a_histogram(benched: Shown) -> None:
    place = benched.lines.index("How the times of calls are spread, on a logarithmic axis")
    rows = benched.lines[place + 2 : place + 5]
    assert [row.split()[0] for row in rows[:2]] == ["fp32", "int8"]
    assert all("█" in row for row in rows[:2])
    assert rows[2].count("µs") == 2


def test_pictures_are_counted_above_the_bar(folder: Path) -> None:
    shown = type_in_terminal("predict", "pictures", folder=folder)
    assert re.search(r"[1-9]\d* of 40 pictures", plain(shown.raw))
    assert sum(line.startswith("pictures/") for line in shown.lines) == 40
    assert "of 40 pictures" not in shown.text
    assert shown.cursor


@pytest.mark.parametrize("name", ["eval", "predict", "bench"])
def test_a_bar_leaves_a_document_alone(name: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    shown = type_in_terminal(*LINES[name], "--json", folder=folder, stdout=out)
    assert shown.code in (0, 5)
    assert json.loads(out.read_text("utf-8"))["kind"] == name
    assert "\x1b[?25l" in shown.raw, "no bar was shown"


def test_a_table_is_piped_past_the_bar(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    shown = type_in_terminal("predict", "pictures", folder=folder, stdout=out)
    lines = out.read_text("utf-8").splitlines()
    assert sum(line.startswith("pictures/") for line in lines) == 40
    assert "pictures/" not in shown.text
    assert "of 40 pictures" in plain(shown.raw)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (("parity", "--runtime", "ort,reference"), r"Running int8 on reference\s+.*75 %"),
        (("report",), r"Drawing: [A-Z]"),
    ],
)
def test_a_bar_says_what_is_done(line: tuple[str, ...], told: str, folder: Path) -> None:
    shown = type_in_terminal(*line, folder=folder)
    assert shown.code == 0
    assert re.search(told, plain(shown.raw))
    assert not re.search(told, shown.text)


@pytest.mark.parametrize("name", ["verify", "parity", "eval", "predict", "bench"])
def test_it_is_quiet_when_piped(name: str, folder: Path) -> None:
    done = piped(*LINES[name], folder=folder)
    assert done.returncode in (0, 5)
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.startswith("Using runs/tiny, the newest bundle.\n")
    assert "fp32" in done.stdout
    tables = tuple(line for line in done.stdout.splitlines() if "  " in line or "─" in line)
    assert not too_wide(tables, 80)
    for line in done.stderr.splitlines():
        assert re.match(r"[A-Z]", line), "a note is one line, and nothing else comes"


def test_colours_are_asked_for_and_refused(folder: Path) -> None:
    line = ("verify", "--no-run")
    assert type_in_terminal(*line, folder=folder).coloured
    plainly = type_in_terminal(*line, folder=folder, environment={"NO_COLOR": "1"})
    assert not plainly.coloured
    dumb = type_in_terminal("eval", folder=folder, environment={"TERM": "dumb"})
    assert (dumb.code, "\x1b" in dumb.raw) == (0, False)
    forced = piped(*line, folder=folder, FORCE_COLOR="1")
    assert "\x1b[32mok" in forced.stdout
    assert "\x1b[?25l" not in forced.stderr


def test_columns_go_before_what_the_terminal_says(folder: Path) -> None:
    shown = type_in_terminal("verify", folder=folder, environment={"COLUMNS": "50"})
    assert not too_wide(shown.lines, 50)
    assert max(map(len, shown.lines)) > 40


@pytest.mark.parametrize(
    ("line", "at"),
    [(("bench", "--duration", "60s"), "left"), (("predict", "-"), "Using runs/tiny")],
)
def test_ctrl_c_leaves_a_sane_terminal(line: tuple[str, ...], at: str, folder: Path) -> None:
    shown = type_in_terminal(*line, folder=folder, stop_at=lambda raw: at in raw)
    assert shown.code == 130, shown.text
    assert shown.cursor
    assert "Traceback" not in shown.text
    assert not too_wide(shown.lines, 80)


def test_other_encodings_are_written_plainly(folder: Path) -> None:
    done = piped(*LINES["bench"], folder=folder, LC_ALL="C", PYTHONIOENCODING="ascii")
    assert done.returncode in (0, 5), done.stderr
    assert (done.stdout + done.stderr).isascii()
    assert "Latency in us" in done.stdout
    assert re.search(r"^fp32 .*@", done.stdout, re.M), "no histogram"
