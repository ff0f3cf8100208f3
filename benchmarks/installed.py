"""How much disk a package takes, with what it alone needs."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def installed_bytes(packages: Iterable[str]) -> int:
    """Sum up packages and what they alone need: what edgecnn itself needs is there anyway."""
    alone = needed(packages) - needed(["edgecnn"])
    return sum(
        Path(str(file.locate())).stat().st_size
        for package in alone
        for file in metadata.files(package) or ()
        if Path(str(file.locate())).is_file()
    )


def needed(packages: Iterable[str]) -> set[str]:
    """Give packages, what they need here, what that needs, and so on."""
    found: set[str] = set()
    left = list(packages)
    while left:
        package = canonicalize_name(left.pop())
        if package in found or not is_installed(package):
            continue
        found.add(package)
        wanted = map(Requirement, metadata.requires(package) or ())
        left += [
            each.name for each in wanted if not each.marker or each.marker.evaluate({"extra": ""})
        ]
    return found


def is_installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True
