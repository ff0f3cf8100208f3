"""A folder of images: `train/CLASS/*` and `test/` or `val/CLASS/*`, or one folder of classes.

One folder of classes is split by the hash of its files' content, class by class: an image stays on
its side whatever its name, the size of the input or the seed, and copies of it stay together.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from edgecnn import images
from edgecnn.data._cache import Arrays, cached
from edgecnn.data._classes import order_classes
from edgecnn.data._dataset import Dataset, Progress, Request, Split, note_leak, refuse_too_large
from edgecnn.errors import DataError
from edgecnn.machine import allowed_cores

USAGE = "a folder of images"
_VERSION = 1  # of decoding: to be raised whenever a pixel changes
_TRAIN, _TESTS = "train", ("test", "val")
_NAMED = 5
_CHUNK = 64


def accepts(source: str) -> bool:
    """Say whether this is a folder."""
    return bool(source) and Path(source).is_dir()


def load(request: Request) -> Dataset:
    """Read the images of a folder, or take them decoded from the cache."""
    root = Path(request.source).resolve()
    parts, notes = _parts(root)
    files, strangers = _list_parts(root, parts)
    labels = order_classes(request, _classes(root, parts, files))
    refuse_too_large(len(files), request.contract)
    arrays, cache_notes = _decode(root, files, request)
    good = arrays["problems"] == ""
    broken_notes = _report_broken(root, files, arrays, skip=request.skip_broken)
    files = [file for file, fine in zip(files, good, strict=True) if fine]
    of_label = np.array([labels.index(file.label) for file in files], np.int64)
    if len(parts) == 1:
        keys = arrays["keys"][good]
        in_test = _choose_test(labels, of_label, keys, request.test_fraction)
    else:
        in_test = np.array([file.part == parts[1] for file in files])
    train, test = (_split(arrays["images"], of_label, side, labels) for side in (~in_test, in_test))
    return Dataset(
        name=root.name,
        source=str(root),
        labels=labels,
        train=train,
        test=test,
        test_fraction=request.test_fraction,
        labels_file=str(request.labels_file.resolve()) if request.labels_file else "",
        skip_broken=request.skip_broken,
        notes=(*notes, *strangers, *broken_notes, *cache_notes, *note_leak(train, test)),
    )


@dataclass(frozen=True)
class _File:
    part: str
    label: str
    name: str
    size: int
    modified_ns: int


def _parts(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
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


def _list_parts(root: Path, parts: Sequence[str]) -> tuple[list[_File], tuple[str, ...]]:
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
                    files.append(_File(part, entry.name, name, *_stamp(file)))
                else:
                    others.append(name)
    notes = (
        _note_left_out(others, "files are not images"),
        _note_left_out(loose, "images lie in no class folder"),
    )
    return files, tuple(filter(None, notes))


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in images.SUFFIXES  # noqa: PTH122  twice as fast


def _note_left_out(names: Sequence[str], what: str) -> str:
    return f"{len(names)} {what} and were left out: {_listed(names)}." if names else ""


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


def _classes(root: Path, parts: Sequence[str], files: Sequence[_File]) -> set[str]:
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
                f"{root / part} lacks the classes {_listed(lacking)}, which its neighbour has.",
                "Give both the same class folders.",
            )
        empty = sorted(names - {file.label for file in files if file.part == part})
        if empty:
            raise DataError(
                f"There are no images in the class folders {_listed(empty)} of {root / part}.",
                "Fill or remove them.",
            )
    return named[0]


def _decode(root: Path, files: Sequence[_File], request: Request) -> tuple[Arrays, tuple[str, ...]]:
    contract = request.contract
    form = f"{contract.pixel_shape} {contract.color} {contract.resize} {contract.filter}"
    name = hashlib.sha256(f"{root} {form}".encode(errors="surrogateescape")).hexdigest()[:16]
    listing = [(file.name, file.size, file.modified_ns) for file in files]
    key = hashlib.sha256(f"{_VERSION} {PIL.__version__} {listing}".encode(errors="surrogateescape"))
    return cached(
        f"folder-{name}",
        key.hexdigest(),
        lambda: _decode_all(root, files, request),
        keep=lambda arrays: bool(arrays["keys"].all()),
    )


def _decode_all(root: Path, files: Sequence[_File], request: Request) -> Arrays:
    """Decode every file.

    Returns:
        images: uint8, of the good files alone.
        keys: uint64, of every file: the first bits of its content's SHA-256, 0 if it is unreadable.
        problems: str, of every file: why it is broken; empty if it is good.
    """
    pixels = np.empty((len(files), *request.contract.pixel_shape), np.uint8)
    keys = np.zeros(len(files), np.uint64)
    problems = [""] * len(files)

    def decode_one(index: int) -> None:
        name = files[index].name
        try:
            content = (root / name).read_bytes()
            keys[index] = int.from_bytes(hashlib.sha256(content).digest()[:8], "big") | 1
            pixels[index] = images.decode(content, request.contract, name=name)
        except DataError as error:
            problems[index] = error.problem
        except OSError as error:
            problems[index] = f"{name} cannot be read: {error.strerror or error}."

    _for_each(decode_one, len(files), request.progress)
    good = np.array([not problem for problem in problems])
    kept = pixels if good.all() else pixels[good]
    return {"images": kept, "keys": keys, "problems": np.array(problems)}


def _for_each(work: Callable[[int], None], count: int, progress: Progress | None) -> None:
    """Call `work` with 0 to count - 1, on as many threads as there are cores: Pillow lets go."""

    def work_on(start: int) -> None:
        for index in range(start, min(start + _CHUNK, count)):
            work(index)

    starts = range(0, count, _CHUNK)
    with ThreadPoolExecutor(allowed_cores()) as pool:
        try:
            for start, _ in zip(starts, pool.map(work_on, starts), strict=True):
                if progress:
                    progress("Reading images", min(1, (start + _CHUNK) / count))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _report_broken(
    root: Path, files: Sequence[_File], arrays: Arrays, *, skip: bool
) -> tuple[str, ...]:
    problems = [str(problem) for problem in arrays["problems"] if problem]
    if not problems:
        return ()
    if not skip:
        more = f" And {len(problems) - _NAMED} more." if len(problems) > _NAMED else ""
        raise DataError(
            f"{len(problems)} of {len(files)} images in {root} are broken. "
            f"{' '.join(problems[:_NAMED])}{more}",
            "Mend or remove them, or leave them out with --skip-broken.",
        )
    names = [file.name for file, bad in zip(files, arrays["problems"], strict=True) if bad]
    return (_note_left_out(names, f"of {len(files)} images are broken"),)


def _choose_test(
    labels: tuple[str, ...],
    of_label: NDArray[np.int64],
    keys: NDArray[np.uint64],
    fraction: float,
) -> NDArray[np.bool_]:
    in_test = np.zeros(len(keys), np.bool_)
    for label, name in enumerate(labels):
        members = np.flatnonzero(of_label == label)
        contents = np.unique(keys[members])
        if len(contents) < 2:
            raise DataError(
                f"The class '{name}' has {len(contents)} different images, too few to split.",
                "Give each class at least two images, or make train/ and test/ folders.",
            )
        count = min(max(1, round(fraction * len(contents))), len(contents) - 1)
        in_test[members] = np.isin(keys[members], contents[:count])
    return in_test


def _split(
    pixels: NDArray[np.uint8],
    of_label: NDArray[np.int64],
    side: NDArray[np.bool_],
    labels: tuple[str, ...],
) -> Split:
    split = Split(pixels[side], of_label[side])
    empty = [name for label, name in enumerate(labels) if not (split.labels == label).any()]
    if empty:
        raise DataError(
            f"Without its broken images nothing is left of the classes {_listed(empty)}.",
            "Mend the images.",
        )
    return split


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
