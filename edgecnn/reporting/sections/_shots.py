"""An image with what is said of it: what galleries of several sections show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shot:
    """One image with what is said of it.

    Attributes:
        index: Its place among the images, counted from 0.
        png: In base64; empty where it is not kept.
        truth: Its true class; empty where it has none.
        lines: Who says what.
        digest: SHA-256 of its pixels.
    """

    index: int
    png: str
    truth: str
    lines: tuple[str, ...]
    digest: str

    @property
    def alternative(self) -> str:
        """All that is said of it, for whoever does not see it."""
        name = f"Image {self.index:,}{f', a {self.truth}' if self.truth else ''}"
        return f"{name}. {'. '.join(self.lines)}."


@dataclass(frozen=True)
class Gallery:
    """Some images under one heading.

    Attributes:
        heading: What they have in common.
        explained: How many there are of which, in a sentence.
        shots: The images.
        open: So many of the first are shown at once, the others folded away.
    """

    heading: str
    explained: str
    shots: tuple[Shot, ...]
    open: int
