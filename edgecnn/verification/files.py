"""Every file of a bundle against its digest, and what else lies in the folder."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence

from edgecnn import disk
from edgecnn.bundle import GOLDEN, MANIFEST, Bundle
from edgecnn.progress import Progress
from edgecnn.records import file_sha256
from edgecnn.spec import Variant
from edgecnn.verification.report import FileCheck

_OWN = {MANIFEST, ".lock", ".lock-holder", "report.html"}
_MOST_NAMES = 5


def needed_files(bundle: Bundle, chosen: Iterable[Variant], *, whole: bool) -> list[str]:
    """Name the files to check: those of the chosen variants, or all of the bundle."""
    if whole:
        return list(bundle.files)
    own = {file for variant in chosen for file in (*variant.files, variant.golden)}
    return [name for name in bundle.files if name in own or name == GOLDEN]


def check_files(bundle: Bundle, names: Sequence[str], tell: Progress) -> Iterator[FileCheck]:
    """Hold files against their digests, in pieces: their size costs no memory."""
    total, done = sum(bundle.files[name].size for name in names) or 1, 0
    for name in names:
        tell(f"Checking {name}", 0.5 * done / total)
        yield _check_file(bundle, name)
        done += bundle.files[name].size


def _check_file(bundle: Bundle, name: str) -> FileCheck:
    path, record = disk.place(bundle.folder, name), bundle.files[name]
    try:
        status = path.stat()
        size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            return FileCheck(name, 0, "", f"{path} is no ordinary file.")
        if size not in {each.size for each in bundle.files.values()}:
            text = f"{path} is {size:,} bytes long, but {record.size:,} were written."
            return FileCheck(name, size, "", text)
        digest = file_sha256(path)
    except (FileNotFoundError, NotADirectoryError):
        return FileCheck(name, 0, "", f"{path} is missing.")
    except OSError as error:
        return FileCheck(name, 0, "", f"{path} cannot be read: {error.strerror or error}.")
    if digest == record.sha256:
        return FileCheck(name, size, digest, "")
    twin = next((other for other, each in bundle.files.items() if each.sha256 == digest), None)
    what = f"holds what belongs into {twin}" if twin else "is not the file that was written"
    return FileCheck(name, size, digest, f"{path} {what} (its SHA-256 differs).")


def notes(bundle: Bundle, files: Iterable[FileCheck]) -> Iterator[str]:
    """Say of the folder what is no fault and should be known."""
    here = bundle.folder.resolve()
    for name in (MANIFEST, *(file.name for file in files if not file.problem)):
        path = disk.place(bundle.folder, name)
        if not path.resolve().is_relative_to(here):
            yield f"{path} is a link to {path.resolve()}, which does not travel with the bundle."
    if (bundle.folder / disk.COMMIT).is_dir():
        yield "A write was interrupted after it counted; the next command that writes finishes it."
    extra = list(_extra(bundle))
    if extra:
        more = f" and {len(extra) - _MOST_NAMES:,} more" if len(extra) > _MOST_NAMES else ""
        names = ", ".join(extra[:_MOST_NAMES])
        yield f"The manifest does not know {names}{more}; edgecnn never reads them."


def _extra(bundle: Bundle) -> Iterator[str]:
    for path in sorted(bundle.folder.rglob("*")):
        inside = path.relative_to(bundle.folder)
        apart = inside.parts[0] in (disk.COMMIT, "reports")
        if path.is_dir() and not path.is_symlink():
            continue
        if not apart and inside.as_posix() not in {*bundle.files, *_OWN}:
            yield inside.as_posix()
