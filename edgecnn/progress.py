"""How long work tells whoever waits for it: what is being done, and the share that is behind."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]


def part_of(tell: Progress, start: float, end: float) -> Progress:
    """Give what a part of the work tells, as a part of the whole.

    Args:
        tell: Told of the whole, with a share from 0 to 1.
        start: The share of the whole that is behind when the part begins.
        end: The share that is behind when it has ended.
    """
    return lambda what, share: tell(what, start + (end - start) * share)


def tell_nobody(what: str, share: float) -> None:
    """Take what is told where nobody waits for it."""
