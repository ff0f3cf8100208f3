"""Turn what was measured of a bundle into one page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli._options import bundle_argument, find_bundle, json_option, note

if TYPE_CHECKING:
    from edgecnn.reporting import Page


@click.command()
@bundle_argument
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Where it goes.  [default: report.html in the bundle]",
)
@click.option("--open", "in_browser", is_flag=True, help="Open it in a browser.")
@json_option
def command(bundle: Path | None, output: Path | None, *, in_browser: bool, as_json: bool) -> None:
    """Turn what was measured of a bundle into one page to look at.

    One HTML file that needs no network, in light and dark and on paper: the learning curve,
    accuracy and latency, every verdict with its reasons, machine and provenance. Each figure links
    to its raw data and names the command that makes it.
    """
    from edgecnn.records import to_json
    from edgecnn.reporting import report

    found = report(find_bundle(bundle), output)
    for one in found.broken:
        note(f"reports/{one.file} {one.problem}")
    if as_json:
        click.echo(to_json(found), nl=False)
    else:
        _print(found)
    if in_browser:
        _open(Path(found.path))


def _print(found: Page) -> None:
    from edgecnn.cli._show import size

    click.echo(f"Report: {found.path} ({size(found.size)}): {', '.join(found.sections)}.")
    if found.missing:
        click.echo("Not measured yet:")
    for title, needed in found.missing.items():
        click.echo(f"  {title}: {needed}")


def _open(path: Path) -> None:
    import webbrowser

    from edgecnn.errors import UnavailableError

    if not webbrowser.open(path.resolve().as_uri()):
        raise UnavailableError(
            f"No browser was found to open {path}.", "Open that file in a browser yourself."
        )
