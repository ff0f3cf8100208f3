"""A folder of images: `train/CLASS/*` and `test/` or `val/CLASS/*`, or one folder of classes.

One folder of classes is split by the hash of its files' content, class by class: an image stays on
its side whatever its name, the size of the input or the seed, and copies of it stay together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from edgecnn import images
from edgecnn.data._cache import Arrays, cached
from edgecnn.data._classes import order_classes
from edgecnn.data._dataset import Dataset, Request, Split, note_leak, spread
from edgecnn.data._listing import File, classes_of, list_files, listed, note_left_out, parts_of
from edgecnn.data._storage import allocate, pick, refuse_too_large
from edgecnn.errors import DataError
from edgecnn.machine import allowed_cores
from edgecnn.progress import Progress
from edgecnn.spec import InputContract

USAGE = "a folder of images"
_VERSION = 1  # of decoding: to be raised whenever a pixel changes
_NAMED = 5
_CHUNK = 64


def accepts(source: str) -> bool:
    """Say whether this is a folder."""
    return bool(source) and Path(source).is_dir()


def load(request: Request) -> Dataset:
    """Read the images of a folder, or take them decoded from the cache."""
    root = Path(request.source).resolve()
    parts, notes = parts_of(root)
    files, strangers = list_files(root, parts)
    labels = order_classes(request, classes_of(root, parts, files))
    refuse_too_large(len(files), request.contract.pixel_shape)
    arrays, cache_notes = _decode(root, files, request)
    good = arrays["problems"] == ""
    broken_notes = _report_broken(root, files, arrays["problems"], skip=request.skip_broken)
    files = [file for file, fine in zip(files, good, strict=True) if fine]
    of_label = _numbers(labels, files)
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


def sample(
    request: Request, contracts: Sequence[InputContract], count: int
) -> tuple[tuple[str, ...], tuple[Split, ...]]:
    """Read some training images in several forms; the other files are not decoded.

    Of one folder of classes each file is read, for its content decides its split.
    """
    root = Path(request.source).resolve()
    parts, _ = parts_of(root)
    files, _ = list_files(root, parts)
    labels = order_classes(request, classes_of(root, parts, files))
    files = _training_files(root, parts, files, labels, request)
    of_label = _numbers(labels, files)
    chosen = spread(of_label, _by_name(files), count)
    files, of_label = [files[index] for index in chosen], of_label[chosen]
    pixels, _, problems = _decode_files(root, files, contracts, request.progress)
    _report_broken(root, files, problems, skip=request.skip_broken)
    good = np.flatnonzero(problems == "")
    return labels, tuple(Split(pick(form, good), of_label[good]) for form in pixels)


def _training_files(
    root: Path, parts: Sequence[str], files: list[File], labels: tuple[str, ...], request: Request
) -> list[File]:
    if len(parts) > 1:
        return [file for file in files if file.part == parts[0]]
    keys = np.zeros(len(files), np.uint64)

    def read_one(index: int) -> None:
        with suppress(OSError):  # it stays on either side; decoding it will say what is wrong
            keys[index] = _key((root / files[index].name).read_bytes())

    _for_each(read_one, len(files), "Dividing images", request.progress)
    in_test = _choose_test(labels, _numbers(labels, files), keys, request.test_fraction)
    return [file for file, test in zip(files, in_test, strict=True) if not test]


def _numbers(labels: Sequence[str], files: Sequence[File]) -> NDArray[np.int64]:
    place = {label: index for index, label in enumerate(labels)}
    return np.array([place[file.label] for file in files], np.int64)


def _by_name(files: Sequence[File]) -> NDArray[np.int64]:
    # By the hash of the name: the first names of a folder often show one scene.
    names = [hashlib.sha256(file.name.encode(errors="surrogateescape")).digest() for file in files]
    return np.array(sorted(range(len(files)), key=lambda index: names[index]), np.int64)


def _decode(root: Path, files: Sequence[File], request: Request) -> tuple[Arrays, tuple[str, ...]]:
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


def _decode_all(root: Path, files: Sequence[File], request: Request) -> Arrays:
    """Decode every file.

    Returns:
        images: uint8, of the good files alone.
        keys: uint64, of every file: the first bits of its content's SHA-256, 0 if it is unreadable.
        problems: str, of every file: why it is broken; empty if it is good.
    """
    (pixels,), keys, problems = _decode_files(root, files, [request.contract], request.progress)
    good = np.flatnonzero(problems == "")
    kept = pixels if len(good) == len(files) else pick(pixels, good)
    return {"images": kept, "keys": keys, "problems": problems}


def _decode_files(
    root: Path,
    files: Sequence[File],
    contracts: Sequence[InputContract],
    progress: Progress | None,
) -> tuple[list[NDArray[np.uint8]], NDArray[np.uint64], NDArray[np.str_]]:
    """Decode files in the form of each contract, and give their keys and problems, too."""
    pixels = [allocate(len(files), contract.pixel_shape) for contract in contracts]
    keys = np.zeros(len(files), np.uint64)
    problems = [""] * len(files)

    def decode_one(index: int) -> None:
        name = files[index].name
        try:
            content = (root / name).read_bytes()
            keys[index] = _key(content)
            for form, contract in zip(pixels, contracts, strict=True):
                form[index] = images.decode(content, contract, name=name)
        except DataError as error:
            problems[index] = error.problem
        except OSError as error:
            problems[index] = f"{name} cannot be read: {error.strerror or error}."

    _for_each(decode_one, len(files), "Reading images", progress)
    return pixels, keys, np.array(problems)


def _key(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") | 1


def _for_each(
    work: Callable[[int], None], count: int, what: str, progress: Progress | None
) -> None:
    """Call `work` with 0 to count - 1, on as many threads as there are cores: Pillow lets go."""

    def work_on(start: int) -> None:
        for index in range(start, min(start + _CHUNK, count)):
            work(index)

    starts = range(0, count, _CHUNK)
    with ThreadPoolExecutor(allowed_cores()) as pool:
        try:
            for start, _ in zip(starts, pool.map(work_on, starts), strict=True):
                if progress:
                    progress(what, min(1, (start + _CHUNK) / count))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _report_broken(
    root: Path, files: Sequence[File], problems: NDArray[np.str_], *, skip: bool
) -> tuple[str, ...]:
    found = [str(problem) for problem in problems if problem]
    if not found:
        return ()
    if not skip:
        more = f" And {len(found) - _NAMED} more." if len(found) > _NAMED else ""
        raise DataError(
            f"{len(found)} of {len(files)} images in {root} are broken. "
            f"{' '.join(found[:_NAMED])}{more}",
            "Mend or remove them, or leave them out with --skip-broken.",
        )
    names = [file.name for file, bad in zip(files, problems, strict=True) if bad]
    return (note_left_out(names, f"of {len(files)} images are broken"),)


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
    split = Split(pick(pixels, np.flatnonzero(side)), of_label[side])
    empty = [name for label, name in enumerate(labels) if not (split.labels == label).any()]
    if empty:
        raise DataError(
            f"Without its broken images nothing is left of the classes {listed(empty)}.",
            "Mend the images.",
        )
    return split
