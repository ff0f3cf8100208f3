"""The page: sections found by listing, and everything around them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from edgecnn.progress import Progress
from edgecnn.reporting import words
from edgecnn.reporting.charts import NARROW, WIDE, svg
from edgecnn.reporting.contract import Figure, Section
from edgecnn.reporting.material import Material

if TYPE_CHECKING:
    from jinja2 import Environment


_HERE = Path(__file__).parent
_WORST_FIRST = ("fail", "inconclusive", "pass")


@dataclass(frozen=True)
class Shown:
    """A section on its way to the page: its file's name, heading and command, and what it gave."""

    name: str
    title: str
    command: str
    section: Section | None


def build(material: Material) -> tuple[Shown, ...]:
    """Build every section, in the order of the page."""
    files = [path.stem for path in (_HERE / "sections").glob("*.py")]
    found: list[tuple[str, Any]] = [
        (name, import_module(f"edgecnn.reporting.sections.{name}"))
        for name in sorted(files)
        if not name.startswith("_")
    ]
    found.sort(key=lambda entry: entry[1].ORDER)
    return tuple(
        Shown(name, file.TITLE, file.COMMAND, file.build(material)) for name, file in found
    )


def render(
    material: Material, shown: Iterable[Shown], folder: Path, progress: Progress | None = None
) -> str:
    """Write the page.

    Args:
        material: What the sections were built from.
        shown: The sections.
        folder: Where the page will lie: links lead from there to the raw data.
        progress: Called with a section's heading and the share (0 to 1) that is behind.
    """
    environment = _environment(folder)
    present = [one for one in shown if one.section is not None]
    bodies = []
    for number, one in enumerate(present):
        assert one.section is not None
        if progress:
            progress(f"Drawing: {one.title}", number / len(present))
        template = environment.get_template(f"sections/{one.name}.html")
        bodies.append((one, template.render(one.section.values)))
    findings = [finding for one in present if one.section for finding in one.section.findings]
    return environment.get_template("html/page.html").render(
        manifest=material.bundle.manifest,
        bodies=bodies,
        findings=sorted(findings, key=lambda finding: _WORST_FIRST.index(finding.verdict.outcome)),
        counts=Counter(finding.verdict.outcome for finding in findings),
        missing=[one for one in shown if one.section is None],
        broken=material.broken,
        place=material.bundle.folder,
    )


def _environment(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def drawings(figure: Figure) -> list[tuple[str, Markup]]:
        widths = (("wide", WIDE), ("narrow", NARROW))
        return [
            (
                name,
                Markup(
                    svg(figure.chart(width), f"{figure.name}-{name}", width, figure.alternative)
                ),
            )
            for name, width in widths
        ]

    environment = Environment(
        loader=FileSystemLoader(_HERE, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=words.unbroken,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": words.percent,
        "full_stop": words.full_stop,
        "size": words.size,
        "time": words.time,
        "when": words.when,
        "drawings": drawings,
        "link": lambda path: link(path, folder),
    }
    environment.globals["style"] = Markup((_HERE / "html" / "style.css").read_text("utf-8"))
    environment.globals["draw"] = environment.get_template("html/macros.html").module
    return environment


def link(path: Path, folder: Path) -> str:
    """Give the link from a page in a folder to a file: relative, so that both can move together."""
    try:
        relative = os.path.relpath(path.resolve(), folder.resolve())
    except ValueError:  # another drive
        return path.resolve().as_uri()
    return quote(Path(relative).as_posix())
