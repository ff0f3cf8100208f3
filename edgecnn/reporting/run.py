"""`edgecnn report`: a bundle's reports become one page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edgecnn import extras
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.disk import write_atomically
from edgecnn.progress import Progress
from edgecnn.reporting.material import Broken, collect
from edgecnn.reporting.page import build, render

PAGE = "report.html"


@dataclass(frozen=True)
class Page:
    """A page that was written.

    Attributes:
        path: The file.
        size: Its bytes.
        sections: Headings of the sections that it has.
        missing: Headings of those that it lacks, and the commands that bring their material.
        broken: Files among the reports that could not be read.
    """

    KIND: ClassVar[str] = "report"

    path: str
    size: int
    sections: tuple[str, ...]
    missing: dict[str, str]
    broken: tuple[Broken, ...]


def report(
    bundle: Bundle | Path | str,
    output: Path | str | None = None,
    *,
    progress: Progress | None = None,
) -> Page:
    """Turn what is known of a bundle into one HTML file that needs nothing else.

    Args:
        bundle: A bundle or its folder.
        output: The file; by default `report.html` in the bundle.
        progress: Called with what is drawn and the share (0 to 1) that is behind.

    Raises:
        BundleError: There is no such bundle.
        InputError: The file cannot be written.
        UnavailableError: The extra `report` is not installed.
    """
    extras.require("`edgecnn report`", "altair", "jinja2", "vl_convert")
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    path = Path(output) if output is not None else opened.folder / PAGE
    material = collect(opened)
    shown = build(material)
    content = render(material, shown, path.parent, progress).encode()
    write_atomically(path, content)
    return Page(
        path=str(path),
        size=len(content),
        sections=tuple(one.title for one in shown if one.section is not None),
        missing={one.title: one.command for one in shown if one.section is None},
        broken=tuple(material.broken),
    )
