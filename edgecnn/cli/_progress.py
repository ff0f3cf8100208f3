"""Progress on stderr, where that is a terminal: what is done, a bar, and the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from edgecnn.cli._terminal import console

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_REDRAW_SECONDS = 0.1
# Sooner, or with less behind, what is left can only be guessed.
_FEWEST_SECONDS, _SMALLEST_SHARE = 1.0, 0.01
_LONGEST_BAR = 50


class Tell(Protocol):
    """Called with what is being done and how much of it is behind."""

    def __call__(self, what: str, share: float | None, left: float | None = None) -> None:
        """Show what is done, the share (0 to 1; None if nobody knows) and the seconds left."""


@contextmanager
def progress_bar(*, still: bool = False) -> Iterator[Tell]:
    """Give a function that takes what is being done and the share (0 to 1) that is behind.

    Args:
        still: Draw only when that function is called: a thread that draws ten times a second would
            disturb what is being measured.
    """
    if not sys.stderr.isatty():
        yield lambda what, share, left=None: None
        return
    from rich.live import Live

    now = _Activity()
    screen = console(stderr=True)
    # What is printed meanwhile goes above the bar, or where stdout is piped to; rich would take it
    # to stderr.
    live = Live(
        console=screen,
        get_renderable=lambda: now.drawn(screen.width),
        auto_refresh=not still,
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
    )
    with live:
        yield lambda what, share, left=None: _tell(now, live, still, what, share, left)


def _tell(
    now: _Activity, live: Live, still: bool, what: str, share: float | None, left: float | None
) -> None:
    now.told(what, share, left)
    if still and time.monotonic() - now.last_drawn > _REDRAW_SECONDS:
        live.refresh()


@dataclass
class _Activity:
    what: str = "Starting"
    share: float | None = None
    left: float | None = None
    began: float = field(default_factory=time.monotonic)
    told_at: float = 0.0
    last_drawn: float = 0.0

    def told(self, what: str, share: float | None, left: float | None) -> None:
        self.told_at = time.monotonic()
        if share is not None and share < (self.share or 0):
            self.began = self.told_at  # another part begins
        self.what, self.share = what, share
        self.left = left if left is not None else self._expected()

    def _expected(self) -> float | None:
        spent = self.told_at - self.began
        if self.share is None or self.share < _SMALLEST_SHARE or spent < _FEWEST_SECONDS:
            return None
        return spent * (1 - self.share) / self.share

    def drawn(self, width: int) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        self.last_drawn = time.monotonic()
        times = self._times(self.last_drawn)
        if self.share is None:
            return Text(f"{self.what}  {times}".strip())
        bar = min(_LONGEST_BAR, width - len(times) - 2)
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_row(_bar(self.share, bar), Text(times, no_wrap=True))
        return Group(Text(self.what), line)

    def _times(self, now: float) -> str:
        spent = _clock(now - self.began)
        percent = "" if self.share is None else f"{100 * self.share:3.0f} %  "
        if self.left is None:
            return f"{percent}{spent}"
        left = max(0.0, self.left - (now - self.told_at))
        return f"{percent}{spent}, about {_clock(left)} left"


def _bar(share: float, width: int) -> RenderableType:
    from rich.progress_bar import ProgressBar

    return ProgressBar(total=1.0, completed=min(1.0, share), width=max(1, width))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
