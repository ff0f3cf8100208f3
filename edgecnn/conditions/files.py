"""Reading the kernel's small files; what cannot be read is None."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Roots:
    """Where the kernel's files are mounted."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")

    def cpu(self, number: int) -> Path:
        """Give the folder of one CPU."""
        return self.cpus / f"cpu{number}"

    @property
    def cpus(self) -> Path:
        """The folder of all CPUs."""
        return self.sys / "devices/system/cpu"


HERE = Roots()


def text(path: Path) -> str | None:
    """Give a file's text without the blanks around it."""
    with suppress(OSError, ValueError):
        return path.read_text().strip()
    return None


def number(path: Path) -> int | None:
    """Give the number that a file holds, decimal or hexadecimal."""
    found = text(path)
    with suppress(ValueError):
        return int(found, 16 if found.startswith("0x") else 10) if found else None
    return None


def fields(path: Path) -> dict[str, list[str]]:
    """Give a table's rows: the words of each line by its first word, without a colon."""
    rows = [line.split() for line in (text(path) or "").splitlines()]
    return {row[0].rstrip(":"): row[1:] for row in rows if row}


def folders(parent: Path, pattern: str) -> Iterator[Path]:
    """Give the folders whose names match, in order."""
    with suppress(OSError):
        yield from sorted(parent.glob(pattern))
