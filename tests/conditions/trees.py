"""Trees of files as the kernel lays them out in /proc and /sys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgecnn.conditions import Roots

CPU = "sys/devices/system/cpu"


def lay_out(folder: Path, files: Mapping[str, str]) -> Roots:
    """Write files, by their paths from the root such as `proc/stat`, and give where they lie."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return Roots(folder / "proc", folder / "sys")


def stat(*rows: tuple[int, int]) -> str:
    """Write /proc/stat: for each CPU its busy and stolen ticks."""
    cpus = [f"cpu{n} {busy} 0 0 9999 5 0 0 {stolen} 0 0" for n, (busy, stolen) in enumerate(rows)]
    whole = sum(busy for busy, _ in rows)
    return "\n".join([f"cpu  {whole} 0 0 9999 5 0 0 0 0 0", *cpus, "intr 1 2 3", "ctxt 4"])
