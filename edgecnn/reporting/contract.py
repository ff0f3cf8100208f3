"""The contract of a section of the report: what its file defines, and what it hands to the page.

A section is two files in `edgecnn/reporting/sections/`, found by listing: `NAME.py` and the
template `NAME.html` beside it. The Python file defines

    ORDER: int                                    where it stands on the page, the smallest first
    TITLE: str                                    its heading
    COMMAND: str                                  what brings its material, such as `edgecnn eval`
    build(material: Material) -> Section | None   None where there is no material for it

The template gets `Section.values` as variables, and `draw`, the macros of `html/macros.html`:

    {{ draw.figure(figure) }}     a Figure: chart, caption, data as a table, origin
    {{ draw.table(table) }}       a Table
    {{ draw.gallery(gallery) }}   a Gallery (`sections/_shots.py`): images, what is said of them
    {{ draw.verdict(verdict) }}   a Verdict: mark, word and reasons
    {{ draw.origin(kept) }}       link to the raw data, and the command that makes it
    {{ draw.command(line) }}      a command line whose words are not broken

and the filters of `edgecnn.reporting.words`: `percent`, `size`, `time`, `when`, `full_stop`.

A chart is an Altair chart for a given width; see `edgecnn.reporting.charts` for colours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from edgecnn.reporting.material import Kept, Material
from edgecnn.spec import Verdict


@dataclass(frozen=True)
class Table:
    """Text in rows and columns.

    Attributes:
        caption: What it holds, in a few words.
        columns: Names of the columns, units included.
        rows: Text of the cells, a row as long as `columns`.
        left: How many columns, from the first, hold text; the others hold numbers.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1


@dataclass(frozen=True)
class Figure:
    """One chart with all that must stand beside it.

    Attributes:
        name: A word that no other figure of the page has: ASCII letters, digits and hyphens.
        caption: What is shown and how to read it, in sentences.
        alternative: What it shows, in a sentence, for whoever does not see it.
        chart: Gives the Altair chart for a width in pixels: about 720 on a desk and on paper, 330
            on a phone. Without a width of its own the chart gets that one, axes and legend
            included.
        origins: The reports that its data come from.
        table: The same data as text.
    """

    name: str
    caption: str
    alternative: str
    chart: Callable[[int], Any]
    origins: tuple[Kept[Any], ...]
    table: Table | None = None


@dataclass(frozen=True)
class Finding:
    """One verdict for the list at the head of the page.

    Attributes:
        subject: What was judged, in a few words.
        verdict: `pass`, `fail` or `inconclusive`, with its reasons.
        origin: The report that says so.
    """

    subject: str
    verdict: Verdict
    origin: Kept[Any]


@dataclass(frozen=True)
class Section:
    """What a section hands to the page.

    Attributes:
        values: Variables of its template.
        findings: Verdicts for the list at the head of the page.
    """

    values: Mapping[str, object] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


class SectionFile(Protocol):
    """What a file in `sections/` defines."""

    ORDER: int
    TITLE: str
    COMMAND: str

    def build(self, material: Material) -> Section | None:
        """Give the section, or None where there is no material for it."""
        ...
