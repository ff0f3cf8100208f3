"""Turn what was measured of a bundle into one page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli._options import find_bundle, json_option, note, print_report
from edgecnn.cli._report_table import one_bundle, show_table, table_options
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.reporting import Page


@click.command()
@click.argument(
    "paths", nargs=-1, type=click.Path(path_type=Path), metavar="[BUNDLE|REPORT.json...]"
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Where it goes.  [default: report.html in the bundle]",
)
@click.option("--open", "in_browser", is_flag=True, help="Open it in a browser.")
@table_options
@json_option
def command(
    paths: tuple[Path, ...],
    output: Path | None,
    markdown: Path | None,
    *,
    in_browser: bool,
    table: bool,
    as_json: bool,
) -> None:
    """Turn what was measured of a bundle into one page to look at.

    One HTML file that needs no network, in light and dark and on paper: the learning curve,
    accuracy and latency, every verdict with its reasons, machine and provenance. Each figure links
    to its raw data and names the command that makes it.

    With --table, reports of bench from several machines lie side by side instead, without a
    verdict between them.
    """
    from edgecnn.cli._progress import progress_bar
    from edgecnn.reporting import report
    from edgecnn.reports import make_report

    if table:
        page = {"--output": output, "--open": in_browser}
        show_table(paths, markdown, page, as_json=as_json)
        return
    bundle = find_bundle(one_bundle(paths, markdown))
    with progress_bar() as progress:
        found = report(bundle, output, progress=progress)
    for one in found.broken:
        note(f"reports/{one.file} {one.problem}")
    if as_json:
        print_report(make_report("report", found, {}))
    else:
        _print(found)
    if in_browser:
        _open(Path(found.path))


def _print(found: Page) -> None:
    from edgecnn.cli._show import size

    say(f"Report: {found.path} ({size(found.size)}): {', '.join(found.sections)}.")
    if found.missing:
        say("Not measured yet:")
    for title, needed in found.missing.items():
        say(f"  {title}: {needed}")


def _open(path: Path) -> None:
    import webbrowser

    from edgecnn.errors import UnavailableError

    if not webbrowser.open(path.resolve().as_uri()):
        raise UnavailableError(
            f"No browser was found to open {path}.", "Open that file in a browser yourself."
        )
