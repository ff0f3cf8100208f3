"""Variants that a command leaves out because its runtime does not read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.cli._options import note

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle


def say_unread(bundle: Bundle, *runtimes: str) -> None:
    """Name the variants of a bundle that none of some runtimes reads, and what reads them."""
    from edgecnn.formats import unread

    for sentence in unread(bundle.manifest.variants, *runtimes):
        note(sentence)
