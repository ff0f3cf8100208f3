"""Figures at their limits: one class or a thousand, one variant or seven, long names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from edgecnn.bundle import Bundle
from edgecnn.reporting import Section, report
from edgecnn.reporting.charts import NARROW, WIDE, svg
from edgecnn.reporting.contract import Figure
from edgecnn.reporting.material import Material, collect
from tests.reporting.conftest import keep
from tests.reporting.invented import LONG, SCRIPTS, evaluated, profiled, timed
from tests.reporting.test_browser import ask, show

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

MINE = (
    "arrivals",
    "callers",
    "cold_start",
    "compared",
    "confidence",
    "confusion",
    "end_to_end",
    "energy",
    "golden",
    "idle",
    "latency",
    "layers",
    "loadgen",
    "pictures",
    "roofline",
    "tradeoff",
)

# Labels of classes, names of variants, layers.
Case = tuple[list[str], list[str], list[str]]
CASES: dict[str, Case] = {
    "one": (["thing"], ["fp32"], ["conv"]),
    "two": (["yes", "no"], ["fp32", "int8"], ["conv", "", "conv"]),
    "seven": (
        [f"{LONG}_{number}" for number in range(10)],
        [f"{LONG}_{number}" for number in range(7)],
        [f"{LONG}/{number}" for number in range(9)],
    ),
    "scripts": (
        [f"{SCRIPTS[number % 8]} {number}" for number in range(100)],
        list(SCRIPTS[:2]),
        list(SCRIPTS) * 5,
    ),
    "thousand": ([f"class {number}" for number in range(1000)], ["fp32", "int8"], ["a", "b"]),
}


def fill(bundle: Bundle, case: Case) -> Material:
    """Write reports of a case, and read what there is."""
    labels, variants, layers = case
    keep("eval", evaluated(labels, variants), bundle)
    keep("bench", timed(variants, scenarios=True), bundle)
    keep("profile", profiled(variants, layers), bundle)
    return collect(bundle)


@pytest.fixture(scope="session")
def cases(session_bundle: Callable[[str], Bundle]) -> dict[str, Material]:
    return {name: fill(session_bundle(name), case) for name, case in CASES.items()}


def build(name: str, material: Material) -> Section | None:
    section: Section | None = import_module(f"edgecnn.reporting.sections.{name}").build(material)
    return section


def figures(value: object) -> Iterator[Figure]:
    """Find the figures among what a template gets."""
    if isinstance(value, Figure):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from figures(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from figures(each)


@pytest.mark.parametrize(
    ("case", "width"), [("two", WIDE), ("seven", NARROW), ("thousand", NARROW)]
)
def test_every_figure_is_drawn_within_its_width(
    cases: dict[str, Material], case: str, width: int
) -> None:
    found = [
        figure
        for name in MINE
        if (section := build(name, cases[case]))
        for figure in figures(dict(section.values))
    ]
    assert len(found) >= 12
    for figure in found:
        drawn = ElementTree.fromstring(svg(figure.chart(width), figure.name, width, "x"))
        assert float(drawn.attrib["width"]) <= width + 1, figure.name
        assert len(list(drawn.iter("{http://www.w3.org/2000/svg}path"))) > 3, figure.name


@pytest.mark.parametrize("case", CASES)
def test_every_figure_says_in_words_what_it_shows(cases: dict[str, Material], case: str) -> None:
    names = []
    for name in MINE:
        section = build(name, cases[case])
        for figure in figures(dict(section.values)) if section else ():
            names.append(figure.name)
            assert figure.origins, figure.name
            assert figure.alternative.endswith("."), figure.name
            assert figure.caption[0].isupper(), figure.name
            assert "nan" not in figure.alternative, figure.name
            if figure.table:
                assert {len(row) for row in figure.table.rows} <= {len(figure.table.columns)}
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", MINE)
def test_without_material_there_is_no_section(
    session_bundle: Callable[[str], Bundle], name: str
) -> None:
    assert build(name, collect(session_bundle("empty"))) is None


def test_nothing_measured_is_no_figure(session_bundle: Callable[[str], Bundle]) -> None:
    """A run that failed leaves rows without figures."""
    bundle = session_bundle("failed")
    body = timed(["fp32"], scenarios=True)
    rows = tuple(replace(row, median_seconds=None, calls=0) for row in body.variants)
    scenarios = body.scenarios
    scenarios = replace(
        scenarios,
        idle=tuple(replace(one, first_seconds=None) for one in scenarios.idle),
        arrivals=tuple(replace(one, call_seconds=None) for one in scenarios.arrivals),
        concurrency=tuple(replace(one, images_per_second=None) for one in scenarios.concurrency),
        end_to_end=tuple(replace(one, total_seconds=None) for one in scenarios.end_to_end),
        energy=(),
    )
    samples = replace(body.samples, blocks=(), sessions=())
    failed = replace(body, variants=rows, scenarios=scenarios, samples=samples)
    keep("bench", failed, bundle)
    keep("eval", evaluated(["a", "b"], ["fp32"]), bundle)
    material = collect(bundle)
    for name in ("latency", "idle", "arrivals", "callers", "end_to_end", "energy", "tradeoff"):
        assert build(name, material) is None, name
    assert material.broken == []


def test_what_loadgen_gives_no_latencies_of_is_a_table(
    session_bundle: Callable[[str], Bundle],
) -> None:
    bundle, body = session_bundle("offline"), timed(["fp32"], scenarios=True)
    offline = tuple(one for one in body.scenarios.loadgen if one.scenario == "offline")
    keep("bench", replace(body, scenarios=replace(body.scenarios, loadgen=offline)), bundle)
    page = Path(report(bundle).path).read_text()
    section = page[page.index("LoadGen</h2>") :]
    assert "<figure" not in section[: section.index("</section>")]
    assert "Queries of LoadGen" in section[: section.index("</section>")]


@pytest.fixture(scope="session")
def crowded(cases: dict[str, Material]) -> dict[str, Path]:
    """Give the pages of the cases with most on them."""
    return {name: Path(report(cases[name].bundle).path) for name in ("seven", "scripts", "one")}


# Texts of a drawing that lie over one another, or outside the page.
COLLISIONS = """
const found = [];
for (const figure of document.querySelectorAll('figure')) {
  for (const svg of figure.querySelectorAll('svg')) {
    if (!svg.getBoundingClientRect().width) continue;
    const texts = [...svg.querySelectorAll('text')].filter(text => text.textContent.trim());
    const boxes = texts.map(text => text.getBoundingClientRect());
    boxes.forEach((a, i) => {
      const what = figure.id + ': ' + texts[i].textContent;
      if (a.left < 0 || a.right > document.documentElement.clientWidth) found.push(what);
      for (let j = i + 1; j < boxes.length; j++) {
        const b = boxes[j];
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const up = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 2 && up > 4) found.push(what + ' / ' + texts[j].textContent);
      }
    });
  }
}
return found
"""


@pytest.mark.parametrize("width", [1100, 375])
@pytest.mark.parametrize("case", ["seven", "scripts", "one"])
def test_no_text_lies_over_another_or_off_the_page(
    browser: Chrome, crowded: dict[str, Path], case: str, width: int
) -> None:
    show(browser, crowded[case], width=width)
    assert ask(browser, COLLISIONS) == []
    page = "const page = document.documentElement; return page.scrollWidth - page.clientWidth"
    assert ask(browser, page) == 0


@pytest.mark.parametrize("case", ["two", "one"])
def test_nothing_is_cut_off_on_paper(
    browser: Chrome, cases: dict[str, Material], case: str
) -> None:
    show(browser, Path(report(cases[case].bundle).path), width=688)  # A4 between its margins
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    beyond = """
        const all = [...document.querySelectorAll('main *')].filter(one => !one.closest('svg'));
        return all.filter(one => one.getBoundingClientRect().right > innerWidth + 1)
          .map(one => one.tagName + ' ' + one.textContent.trim().slice(0, 60))
        """
    assert ask(browser, beyond) == []


def test_a_page_is_small(crowded: dict[str, Path]) -> None:
    assert max(path.stat().st_size for path in crowded.values()) < 5e6


def test_pictures_are_described_and_shown(browser: Chrome, crowded: dict[str, Path]) -> None:
    show(browser, crowded["scripts"])
    found = ask(
        browser,
        """
        for (const each of document.querySelectorAll('details')) each.open = true;
        const all = [...document.querySelectorAll('.pictures img')];
        return all.map(image => [image.alt, image.complete && image.naturalWidth])
        """,
    )
    assert len(found) > 20
    for words, width in found:
        assert words.startswith("Image ")
        assert width == 8


def test_names_that_could_be_code_stay_text(
    browser: Chrome, session_bundle: Callable[[str], Bundle]
) -> None:
    bundle = session_bundle("hostile")
    names = [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "'\"&amp;",
        "`code`",
        "a\\nb",
        "{{ 1 + 1 }}",
    ]
    material = fill(bundle, (names, names[:2], names))
    for name in MINE:
        section = build(name, material)
        for figure in figures(dict(section.values)) if section else ():
            ElementTree.fromstring(svg(figure.chart(WIDE), figure.name, WIDE, figure.alternative))
    show(browser, Path(report(bundle).path))
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    assert ask(browser, "return document.querySelectorAll('script, img[onerror]').length") == 0
    text = ask(browser, "return document.body.textContent")
    assert [name for name in names if name not in text] == []


def values_of(figure: Figure, width: int = WIDE) -> list[dict[str, Any]]:
    """Give the rows of every layer of a chart."""
    datasets: dict[str, list[dict[str, Any]]] = figure.chart(width).to_dict()["datasets"]
    return [row for rows in datasets.values() for row in rows]
