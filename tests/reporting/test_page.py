"""What the page is made of, without a browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgecnn.bundle import open_bundle
from edgecnn.errors import InputError, UnavailableError
from edgecnn.evaluation import EvalReport, evaluate
from edgecnn.reporting import Section, report, words
from edgecnn.reporting.charts import NARROW, svg
from edgecnn.reporting.material import collect
from edgecnn.reporting.page import build, link, render
from edgecnn.reporting.sections import learning_curve
from edgecnn.training.report import TrainReport
from tests.reporting.conftest import HOSTILE, keep, trained

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle
    from tests.conftest import MakeBundle, TypeCommand


def test_reports_come_newest_first_and_broken_ones_are_named(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    older = keep("train", trained(bundle, 2), bundle)
    content = json.loads(older.read_text())
    content["created"] = "2020-01-01T00:00:00.000+00:00"
    older.write_text(json.dumps(content))
    keep("train", trained(bundle, 3), bundle)
    (bundle.folder / "reports" / "a.json").write_text("no JSON")
    content["body"]["curve"] = "no curve"
    (bundle.folder / "reports" / "b.json").write_text(json.dumps(content))
    material = collect(bundle)
    assert [len(kept.body.curve) for kept in material.all(TrainReport)] == [3, 2]
    assert material.newest(EvalReport) is None
    assert [one.file for one in material.broken] == ["a.json", "b.json"]
    assert all(str(bundle.folder) not in one.problem for one in material.broken)


def test_a_report_of_files_that_changed_says_so(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    now = bundle.files["int8.onnx"].sha256
    found = evaluate(bundle, ["int8"], threads=1)
    assert found.measured == {"int8.onnx": now}
    keep("eval", found, bundle, {"int8.onnx": "0" * 64})
    kept = collect(bundle).newest(EvalReport)
    assert kept is not None
    assert kept.outdated == ("int8.onnx",)
    page = Path(report(bundle).path).read_text("utf-8")
    assert "<strong>Outdated:</strong> int8.onnx" in page
    keep("eval", found, bundle, found.measured)
    newer = collect(bundle).newest(EvalReport)
    assert newer is not None
    assert newer.outdated == ()


def test_a_bundle_without_reports_has_a_page(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    found = report(bundle)
    assert found.path == str(bundle.folder / "report.html")
    assert found.size == Path(found.path).stat().st_size
    assert found.sections == ("At a glance", "Provenance")
    assert found.missing["Learning curve"] == "edgecnn train"
    text = Path(found.path).read_text("utf-8")
    assert "Nothing has been judged yet." in text
    assert "not measured" in text
    open_bundle(bundle.folder)  # a page makes no bundle damaged


def test_every_verdict_stands_at_the_head_with_its_reasons(page: Path) -> None:
    text = page.read_text("utf-8")
    head = text[text.index('id="verdicts"') : text.index('id="learning_curve"')]
    assert "66.7\N{NO-BREAK SPACE}% is below the 85\N{NO-BREAK SPACE}% that the" in head
    for subject in ("Same answers as the reference", "Is the bundle what was written?"):
        assert subject in head


def test_nothing_that_a_report_holds_becomes_markup(page: Path) -> None:
    text = page.read_text("utf-8")
    assert HOSTILE not in text
    assert "a &lt;b&gt;name&lt;/b&gt; &amp; &#39;more&#39;" in text
    assert "broken.json" in text
    assert "<script" not in text
    assert page.stat().st_size < 5_000_000


def test_links_lead_from_the_page_to_the_raw_data(measured: Bundle, tmp_path: Path) -> None:
    elsewhere = tmp_path / "a b" / "page.html"
    elsewhere.parent.mkdir()
    report(measured, elsewhere)
    for page in (elsewhere, measured.folder / "report.html"):
        report(measured, page)
        links = set(re.findall(r'href="([^"#]+\.json)"', page.read_text("utf-8")))
        assert len(links) >= 5
        for one in links:
            assert (page.parent / one.replace("%20", " ")).is_file(), one
    assert link(Path("/a/b c/d.json"), Path("/a")) == "b%20c/d.json"


def test_a_page_that_cannot_be_written_is_an_error(make_bundle: MakeBundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        report(make_bundle(), tmp_path / "file" / "page.html")


def test_what_is_missing_is_named_with_its_extra(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecnn.extras.find_spec", lambda name: None)
    with pytest.raises(UnavailableError) as refused:
        report(make_bundle())
    assert "'edgecnn[report]'" in refused.value.remedy


@pytest.mark.parametrize(("epochs", "holdout"), [(1, True), (1, False), (300, True)])
def test_a_learning_curve_of_any_length(
    make_bundle: MakeBundle, epochs: int, holdout: bool
) -> None:
    bundle = make_bundle()
    keep("train", trained(bundle, epochs, holdout=holdout), bundle)
    section = learning_curve.build(collect(bundle))
    assert isinstance(section, Section)
    figures: Any = section.values["figures"]
    assert len(figures[0].table.rows) == epochs
    drawn = svg(figures[0].chart(NARROW), "curve", NARROW, "what it shows")
    width = re.search(r'viewBox="0 0 ([\d.]+)', drawn)
    assert width is not None
    assert float(width[1]) <= NARROW + 2
    assert ("holdout" in drawn) == holdout


def test_drawings_share_no_id_and_say_what_they_show(measured: Bundle) -> None:
    text = render(collect(measured), build(collect(measured)), measured.folder)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)
    assert "<title>epoch 1, training: 30.0 %</title>" in text  # what a pointer shows


def test_numbers_as_people_read_them() -> None:
    assert [words.time(seconds) for seconds in (42e-6, 1.234e-3, 0.1234, 12)] == [
        "42.0 µs",
        "1.23 ms",
        "123 ms",
        "12.0 s",
    ]
    assert words.percent(0.8512) == "85.1 %"
    assert words.when("2026-01-02T03:04:05.678+02:00") == "2026-01-02 01:04 UTC"


def test_the_command(
    make_bundle: MakeBundle,
    type_command: TypeCommand,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    bundle = make_bundle()
    (bundle.folder / "reports").mkdir()
    (bundle.folder / "reports" / "a.json").write_text("no JSON")
    done = type_command("report", bundle.folder)
    assert done.code == 0
    assert done.out.startswith(f"Report: {bundle.folder / 'report.html'} (")
    assert "  Learning curve: edgecnn train\n" in done.out
    assert done.err.startswith("reports/a.json is not a JSON object")
    page = tmp_path / "page.html"
    done = type_command("report", bundle.folder, "--output", page, "--json")
    assert json.loads(done.out)["body"]["path"] == str(page)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: not opened.append(url))  # type: ignore[func-returns-value]
    assert type_command("report", bundle.folder, "--output", page, "--open").code == 0
    assert opened == [page.as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    done = type_command("report", bundle.folder, "--open")
    assert done.code == 3
    assert "Open that file in a browser yourself." in done.err


def test_a_manifest_without_data_or_net(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    bare = replace(bundle, manifest=replace(bundle.manifest, data=None, model=None, variants=()))
    text = render(collect(bare), build(collect(bare)), bundle.folder)
    assert "From an ONNX file" in text
    assert "It has no variant yet" in text
