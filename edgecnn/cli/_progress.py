"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(*, still: bool = False) -> Iterator[Callable[[str, float], None]]:
    """Give a function that takes what is being done and the share (0 to 1) that is done.

    Args:
        still: Draw only when that function is called: a thread that draws ten times a second would
            disturb what is being measured.
    """
    if not sys.stderr.isatty():
        yield lambda what, share: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    from edgecnn.cli._show import console

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    screen = console(stderr=True)
    with Progress(*columns, console=screen, transient=True, auto_refresh=not still) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share, refresh=still)
