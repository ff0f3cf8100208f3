"""Class names and their order: by name, by a labels file, or as a model already has them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from edgecnn.data._dataset import Request
from edgecnn.errors import DataError


def order_classes(request: Request, found: Collection[str]) -> tuple[str, ...]:
    """Put class names into the order of the labels.

    That is the order of the contract's labels if it has these very classes, else of the labels
    file, else by name.

    Raises:
        DataError: The labels file names other classes.
    """
    known = request.contract.labels
    if known and set(known) == set(found):
        return known
    if request.labels_file is None:
        return tuple(sorted(found))
    names = read_labels(request.labels_file)
    wrong = [f"'{name}' is in the file alone" for name in names if name not in found]
    wrong += [f"'{name}' is in the data alone" for name in sorted(found) if name not in names]
    if wrong:
        raise DataError(
            f"The classes of {request.source} are not those of {request.labels_file}: "
            f"{', '.join(wrong)}.",
            "Write the name of each class folder on a line of its own.",
        )
    return names


def read_labels(path: Path) -> tuple[str, ...]:
    """Read a labels file: one class name on each line, in order; empty lines do not count.

    Raises:
        DataError: It cannot be read, is empty, or names a class twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DataError(
            f"The labels file {path} cannot be read: {reason}.",
            "Give a text file with one class name on each line.",
        ) from error
    names = tuple(line.strip() for line in lines if line.strip())
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        problem = f"names {', '.join(twice)} more than once" if twice else "is empty"
        raise DataError(
            f"The labels file {path} {problem}.", "Write each class name on one line, once."
        )
    return names
