"""The summary for GitHub: tables that GitHub draws as such, whatever the names hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import edgecnn
from edgecnn.reporting.markdown import escape, eval_summary, table
from edgecnn.reporting.material import collect
from edgecnn.reporting.sections import checks
from edgecnn.reports import make_report, write_report

if TYPE_CHECKING:
    from tests.conftest import MakeBundle


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.replace("\\|", "\0").strip("|").split("|")]


def test_a_table_has_as_many_cells_in_each_line() -> None:
    text = table(("", "a | b"), [("x|y\nz", "<b>*1*</b>"), ("`q`", "[2](u)")])
    head, rule, *rows = text.splitlines()
    assert rule == "|:--|--:|"
    assert [len(cells(line)) for line in (head, *rows)] == [2, 2, 2]
    assert rows[0] == r"| x\|y z | \<b\>\*1\*\</b\> |"
    assert rows[1] == r"| \`q\` | \[2\](u) |"


def test_text_stands_for_itself() -> None:
    assert escape("a_b  *c*\n~d~ \\") == r"a\_b \*c\* \~d\~ \\"
    assert escape("$x$ &lt; \x1b[31m") == r"\$x\$ \&lt; \[31m"


def test_nobody_is_called() -> None:
    assert escape("data@you.npz") == "data@<!-- -->you.npz"


def test_an_evaluation_with_a_baseline(make_bundle: MakeBundle) -> None:
    old, new = make_bundle("old", variants=("fp32",)), make_bundle("new")
    gates = ["accuracy < -5pp", "accuracy < 99%"]
    found = edgecnn.evaluate(new, baseline=old, fail_if=gates, threads=1)
    text = eval_summary(make_report("eval", found, found.measured), found)
    lines = text.splitlines()
    assert lines[0] == "### edgecnn eval: FAILED"
    assert [line for line in lines if line.startswith("| FAILED | accuracy \\< 99% | fp32 |")]
    assert [line for line in lines if line.startswith("| inconclusive | accuracy \\< -5pp | int8")]
    (row,) = (line for line in lines if line.startswith("| fp32 |"))
    assert cells(row)[4] == "+0.00"
    (row,) = (line for line in lines if line.startswith("| int8 |"))
    assert cells(row)[3:] == ["none", "", ""]
    assert lines[-1].startswith("<sub>")
    tables = [line for line in lines if line.startswith("|")]
    assert {len(cells(line)) for line in tables} == {4, 6}


def test_without_gates_there_is_no_verdict(make_bundle: MakeBundle) -> None:
    found = edgecnn.evaluate(make_bundle(), threads=1)
    text = eval_summary(make_report("eval", found, found.measured), found)
    assert text.startswith("### edgecnn eval\n\nAccuracy on 120 test images of tiny.\n")


def test_the_page_lists_gates_among_its_verdicts(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    found = edgecnn.evaluate(bundle, fail_if=["accuracy < 99%"], threads=1)
    write_report(make_report("eval", found, found.measured), bundle.folder)
    section = checks.build(collect(bundle))
    assert section is not None
    (finding,) = (one for one in section.findings if one.subject == "Gates of eval")
    assert finding.verdict.outcome == "fail"
    assert any("fp32: accuracy is " in reason for reason in finding.verdict.reasons)
