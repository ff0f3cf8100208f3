"""The CPU's caches, as the system describes them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CPU = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Cache:
    """One level of cache for data.

    Attributes:
        level: 1 is nearest to the core.
        bytes: Size of one.
        cores: How many logical cores share it.
    """

    level: int
    bytes: int
    cores: int

    def room(self, threads: int) -> int:
        """Give the bytes that as many threads have together, each on a core of its own."""
        return self.bytes * -(-threads // self.cores)


def read_caches(folder: Path = _CPU) -> tuple[Cache, ...]:
    """Read the caches of the first core, the nearest first; none where the system says nothing."""
    found = {}
    for index in sorted(folder.glob("index*")):
        with suppress(OSError, ValueError, KeyError):
            if (index / "type").read_text().strip() == "Instruction":
                continue
            level = int((index / "level").read_text())
            sharers = _count((index / "shared_cpu_list").read_text())
            found[level] = Cache(level, _size((index / "size").read_text()), sharers)
    return tuple(found[level] for level in sorted(found))


def _size(text: str) -> int:
    text = text.strip()
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1:] in _UNITS else int(text)


def _count(text: str) -> int:
    """Count the cores of a list such as `0-3,8`."""
    total = 0
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        total += int(last or first) - int(first) + 1
    return total
