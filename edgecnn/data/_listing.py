"""Listing a folder of images: which folders hold classes, and what lies in them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecnn import images
from edgecnn.errors import DataError

_TRAIN, _TESTS = "train", ("test", "val")
_NAMED = 5


@dataclass(frozen=True)
class File:
    """An image file of a class folder.

    Attributes:
        part: The folder of class folders that it lies in: `train`, `test`, `val` or nothing.
        label: Its class folder.
        name: Its path from the root on.
        size: In bytes.
        modified_ns: When it was changed.
    """

    part: str
    label: str
    name: str
    size: int
    modified_ns: int


def parts_of(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say which folders hold classes: train and test, or the folder itself (empty name)."""
    found = {entry.name for entry in _visible(root) if entry.is_dir()}
    tests = [name for name in _TESTS if name in found]
    if _TRAIN not in found:
        if found and found <= set(_TESTS):
            raise DataError(
                f"{root} has {tests[0]}/ but no train/.", f"Add {root / _TRAIN}/CLASS/."
            )
        return ("",), ()
    if not tests:
        raise DataError(
            f"{root} has train/ but neither test/ nor val/.",
            f"Add one, or use --data {root / _TRAIN} to split it by --test-fraction.",
        )
    unused = sorted(found - {_TRAIN, tests[0]})
    notes = [f"{root / name} was not used; train/ and {tests[0]}/ were." for name in unused]
    return (_TRAIN, tests[0]), tuple(notes)


def list_files(root: Path, parts: Sequence[str]) -> tuple[list[File], tuple[str, ...]]:
    """List the images of all class folders, and note what is none or lies beside them."""
    files, others, loose = [], [], []
    for part in parts:
        start = f"{part}/" if part else ""
        for entry in _visible(root / part):
            if not entry.is_dir():
                loose += [start + entry.name] if _is_image(entry.name) else []
                continue
            for name, file in _walk(entry, start, frozenset()):
                if _is_image(name):
                    files.append(File(part, entry.name, name, *_stamp(file)))
                else:
                    others.append(name)
    notes = (
        note_left_out(others, "files are not images"),
        note_left_out(loose, "images lie in no class folder"),
    )
    return files, tuple(filter(None, notes))


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in images.SUFFIXES  # noqa: PTH122  twice as fast


def note_left_out(names: Sequence[str], what: str) -> str:
    return f"{len(names)} {what} and were left out: {listed(names)}." if names else ""


def _visible(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            visible = (entry for entry in entries if not entry.name.startswith("."))
            return sorted(visible, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read: {error.strerror or error}.", "Mend its permissions."
        ) from error


def _walk(
    folder: os.DirEntry[str], start: str, above: frozenset[str]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Give every file below a folder, with its name from the root on."""
    here = os.path.realpath(folder.path)
    if here in above:  # a link that leads back
        return
    start = f"{start}{folder.name}/"
    for entry in _visible(folder.path):
        if entry.is_dir():
            yield from _walk(entry, start, above | {here})
        elif entry.is_file() or entry.is_symlink():
            yield start + entry.name, entry


def _stamp(file: os.DirEntry[str]) -> tuple[int, int]:
    try:
        state = file.stat()
    except OSError:  # a link that leads nowhere; reading it will say so
        return 0, 0
    return state.st_size, state.st_mtime_ns


def classes_of(root: Path, parts: Sequence[str], files: Sequence[File]) -> set[str]:
    """Give the class names, which must be the same in all parts, and none empty."""
    named = [{e.name for e in _visible(root / part) if e.is_dir()} for part in parts]
    if not any(named):
        raise DataError(
            f"{root} has no class folders.",
            "Put the images of each class into a folder that bears its name.",
        )
    for part, names in zip(parts, named, strict=True):
        lacking = sorted(set.union(*named) - names)
        if lacking:
            raise DataError(
                f"{root / part} lacks the classes {listed(lacking)}, which its neighbour has.",
                "Give both the same class folders.",
            )
        empty = sorted(names - {file.label for file in files if file.part == part})
        if empty:
            raise DataError(
                f"There are no images in the class folders {listed(empty)} of {root / part}.",
                "Fill or remove them.",
            )
    return named[0]


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
