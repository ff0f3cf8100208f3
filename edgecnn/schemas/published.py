"""Reading the published schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgecnn.errors import InputError
from edgecnn.records import parse_json

FOLDER = Path(__file__).parent


def published() -> dict[str, tuple[int, ...]]:
    """Give the versions that are published of each kind of document, the oldest first."""
    found: dict[str, list[int]] = {}
    for path in FOLDER.glob("*.json"):
        kind, _, version = path.stem.rpartition("-")
        found.setdefault(kind, []).append(int(version))
    return {kind: tuple(sorted(found[kind])) for kind in sorted(found)}


def read_schema(name: str) -> dict[str, Any]:
    """Read a published schema.

    Args:
        name: A kind, such as `bench`, for its newest version, or `bench-1` for that one.

    Raises:
        InputError: There is none of that name.
    """
    kinds = published()
    path = FOLDER / f"{name}-{kinds[name][-1]}.json" if name in kinds else FOLDER / f"{name}.json"
    if path.stem not in {f"{kind}-{each}" for kind, all_ in kinds.items() for each in all_}:
        raise InputError(
            f"There is no schema '{name}'.",
            f"Name one of {', '.join(kinds)}, or such a name with its version: bench-1.",
        )
    return parse_json(path.read_bytes(), where=str(path))
