"""Whether memory is short: what is left, what had to be read back, how long processes waited."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass

from edgecnn.conditions.files import HERE, Roots, fields, text


@dataclass(frozen=True)
class Memory:
    """The machine's memory; None where it is not known.

    Attributes:
        total_bytes: All of it.
        available_bytes: What programs could still get.
        swapped_in_bytes: Read back from swap since the machine started.
        stalled_seconds: How long some process waited for memory since then (the kernel's PSI).
    """

    total_bytes: int | None = None
    available_bytes: int | None = None
    swapped_in_bytes: int | None = None
    stalled_seconds: float | None = None


def memory(roots: Roots = HERE) -> Memory:
    """Read how short memory is."""
    kibibytes = fields(roots.proc / "meminfo")
    pages = _first(fields(roots.proc / "vmstat"), "pswpin")
    return Memory(
        total_bytes=_times(_first(kibibytes, "MemTotal"), 1024),
        available_bytes=_times(_first(kibibytes, "MemAvailable"), 1024),
        swapped_in_bytes=None if pages is None else pages * os.sysconf("SC_PAGE_SIZE"),
        stalled_seconds=_stalled_seconds(roots),
    )


def _first(rows: dict[str, list[str]], name: str) -> int | None:
    with suppress(KeyError, IndexError, ValueError):
        return int(rows[name][0])
    return None


def _times(value: int | None, factor: int) -> int | None:
    return None if value is None else value * factor


def _stalled_seconds(roots: Roots) -> float | None:
    found = re.search(r"^some .*total=(\d+)", text(roots.proc / "pressure/memory") or "", re.M)
    return int(found[1]) / 1e6 if found else None
