"""A bundle: the folder that commands read and extend. Open it, check it, add to it.

Writing is a redo log. New files and the new manifest are staged in `.staging`, flushed, and become
true in one rename to `.commit`; only then do they move to their places, the manifest last. A reader
looks into `.commit` first, so it sees the old bundle or the new one; a writer that finds a
`.commit` left by a crash finishes it before it begins.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from edgecnn import __version__
from edgecnn.errors import BundleError, InputError
from edgecnn.records import from_json, sha256, to_json
from edgecnn.spec import DataRef, InputContract, Parent, Variant

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
GOLDEN = "golden.npz"
_STAGING, _COMMIT, _LOCK = ".staging", ".commit", ".lock"
_DIGEST = re.compile(rb'"digest": "([0-9a-f]{64})"')
_NO_DIGEST = "0" * 64


@dataclass(frozen=True)
class FileRecord:
    """Digest and size in bytes of one file."""

    sha256: str
    size: int


@dataclass(frozen=True)
class ModelRef:
    """Where a net comes from.

    Attributes:
        source: A name on the shelf, `FILE.py:factory`, `package.module:factory` or
            `torchvision:NAME`.
        arguments: What the factory is called with.
        sha256: Digest of the file that defines it; empty where it comes from an installed package.
    """

    source: str
    arguments: dict[str, bool | int | float | str]
    sha256: str = ""


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds and where it came from.

    Attributes:
        schema_version: Version of this layout.
        name: The bundle's name.
        created: When it was made, UTC, ISO 8601.
        edgecnn: Version of edgecnn that wrote it.
        digest: SHA-256 of this manifest, taken with this field zeroed.
        contract: How pictures become input.
        model: The net; None if the bundle was made from an ONNX file.
        data: What it was trained and is tested on; None if it has no data of its own.
        variants: Deployable forms, in the order they were made.
        environment: Versions and machine that made it.
        files: Every file of the bundle but this one.
    """

    schema_version: int
    name: str
    created: str
    edgecnn: str
    contract: InputContract
    model: ModelRef | None
    data: DataRef | None
    environment: dict[str, str]
    variants: tuple[Variant, ...] = ()
    files: dict[str, FileRecord] | None = None
    digest: str = _NO_DIGEST


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and what its manifest said when it was opened."""

    folder: Path
    manifest: Manifest

    @property
    def files(self) -> dict[str, FileRecord]:
        """Every file of the bundle but the manifest."""
        return self.manifest.files or {}

    def variant(self, name: str) -> Variant:
        """Give a variant as the manifest describes it.

        Raises:
            BundleError: There is no such variant.
        """
        for variant in self.manifest.variants:
            if variant.name == name:
                return variant
        have = ", ".join(variant.name for variant in self.manifest.variants) or "none yet"
        flag = " --quantize" if name == "int8" else ""
        raise BundleError(
            f"{self.folder} has no variant '{name}'; it has {have}.",
            f"Make it with `edgecnn export {self.folder}{flag}`.",
        )

    def locate(self, name: str) -> Variant:
        """Give a variant whose files are paths, checked against their digests.

        Raises:
            BundleError: The variant is missing, stale, or a file of it is not what was written.
        """
        variant = self.variant(name)
        self.refuse_stale(variant)
        return replace(variant, files=tuple(str(self._verified(file)) for file in variant.files))

    def read(self, file: str) -> bytes:
        """Read a file of the bundle, checked against its digest.

        Raises:
            BundleError: The file is missing or is not what was written.
        """
        record = self.files.get(file)
        if record is None:
            raise BundleError(f"{self.folder} has no file '{file}'.", "Export the bundle first.")
        content = _read_file(self.folder, file)
        if content is None or sha256(content) != record.sha256:
            raise self._damaged(file, missing=content is None)
        return content

    def refuse_stale(self, variant: Variant) -> None:
        """Refuse a variant whose parent changed since it was made.

        Raises:
            BundleError: It is stale.
        """
        if variant.parent is None:
            return
        parent = self.files.get(variant.parent.file)
        if parent is None or parent.sha256 != variant.parent.sha256:
            raise BundleError(
                f"The variant '{variant.name}' of {self.folder} is stale: "
                f"{variant.parent.file} changed after it was made.",
                f"Make it anew with `{variant.made_by} {self.folder}`.",
            )

    def parent(self, file: str) -> Parent:
        """Name a file of this bundle as a variant's parent."""
        return Parent(file, self.files[file].sha256)

    def _verified(self, file: str) -> Path:
        self.read(file)
        staged = self.folder / _COMMIT / file
        return staged if staged.is_file() else self.folder / file

    def _damaged(self, file: str, *, missing: bool) -> BundleError:
        what = "is missing" if missing else "is not the file that was written (its SHA-256 differs)"
        maker = next((v.made_by for v in self.manifest.variants if file in v.files), "")
        remedy = (
            f"Make it anew with `{maker} {self.folder}`."
            if maker
            else "Copy the bundle anew, or make it again."
        )
        return BundleError(f"{self.folder / file} {what}.", remedy)


def open_bundle(folder: Path | str) -> Bundle:
    """Open a bundle.

    Raises:
        BundleError: The folder is no bundle, or its manifest is damaged or too new.
    """
    folder = Path(folder)
    text = _read_file(folder, MANIFEST)
    if text is None:
        problem = "is no bundle: it has no manifest.json" if folder.is_dir() else "does not exist"
        raise BundleError(
            f"{folder} {problem}.", "Make a bundle with `edgecnn train`, or name another folder."
        )
    return Bundle(folder, _read_manifest(text, folder / MANIFEST))


def newest_bundle(runs: Path = Path("runs")) -> Bundle:
    """Open the bundle under a folder that was created last.

    Raises:
        BundleError: There is none.
    """
    folders = [path for path in sorted(runs.glob("*")) if _read_file(path, MANIFEST) is not None]
    if not folders:
        raise BundleError(
            f"There is no bundle under {runs}/.",
            "Make one with `edgecnn train`, or name a bundle's folder.",
        )
    return max(map(open_bundle, folders), key=lambda bundle: bundle.manifest.created)


def refuse_existing(folder: Path) -> None:
    """Refuse to make a bundle where something already is.

    Raises:
        BundleError: The folder exists.
    """
    if folder.exists():
        raise BundleError(
            f"{folder} already exists.",
            "Use --force to replace it, or --output to write elsewhere.",
        )


def new_manifest(
    name: str,
    contract: InputContract,
    *,
    model: ModelRef | None,
    data: DataRef | None,
    environment: dict[str, str],
) -> Manifest:
    """Begin a manifest, created now by this edgecnn."""
    created = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return Manifest(SCHEMA_VERSION, name, created, __version__, contract, model, data, environment)


def create(
    folder: Path, manifest: Manifest, files: Mapping[str, bytes], *, force: bool = False
) -> Bundle:
    """Make a bundle; it appears whole, in one rename.

    Args:
        folder: Where the bundle goes.
        manifest: What it is; `files` and `digest` are filled in here.
        files: Names and contents.
        force: Replace what is there.

    Raises:
        BundleError: The folder exists and `force` was not given.
        InputError: The disk is full or not writable.
    """
    if not force:
        refuse_existing(folder)
    fresh = folder.with_name(f".{folder.name}.new-{os.getpid()}")
    with _disk_errors(folder):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            records = {name: _write_file(fresh / name, data) for name, data in files.items()}
            _write_file(fresh / MANIFEST, _seal(replace(manifest, files=records)))
            _replace_folder(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return open_bundle(folder)


def extend(bundle: Bundle, files: Mapping[str, bytes], variant: Variant) -> Bundle:
    """Add a variant and its files, or replace the one of that name; all of it or nothing.

    `golden.npz` is written once: given again, it must be the same.

    Raises:
        BundleError: Another process writes to the bundle, or `golden.npz` would change.
        InputError: The disk is full or not writable.
    """
    with _locked(bundle.folder):
        current = open_bundle(bundle.folder)
        have = current.files.get(GOLDEN)
        if have and GOLDEN in files and sha256(files[GOLDEN]) != have.sha256:
            raise BundleError(
                f"{bundle.folder / GOLDEN} would change, and golden vectors never change.",
                "Make a new bundle with `edgecnn train --output`.",
            )
        variants = [v for v in current.manifest.variants if v.name != variant.name]
        manifest = replace(current.manifest, variants=(*variants, variant), edgecnn=__version__)
        _commit(bundle.folder, manifest, current.files, files)
    return open_bundle(bundle.folder)


def change_variant(bundle: Bundle, name: str, change: Callable[[Variant], Variant]) -> Bundle:
    """Change what the manifest says of a variant, its files untouched."""
    return extend(bundle, {}, change(bundle.variant(name)))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its target, flush it, then rename it over the target.

    Raises:
        InputError: The disk is full or not writable.
    """
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            _write_file(beside, content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _commit(
    folder: Path, manifest: Manifest, have: Mapping[str, FileRecord], files: Mapping[str, bytes]
) -> None:
    staging = folder / _STAGING
    with _disk_errors(folder):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            new = {name: _write_file(staging / name, data) for name, data in files.items()}
            sealed = _seal(replace(manifest, files={**have, **new}))
            _write_file(staging / MANIFEST, sealed)
            _sync_folder(staging)
            staging.rename(folder / _COMMIT)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        _finish_commit(folder)


def _finish_commit(folder: Path) -> None:
    commit = folder / _COMMIT
    if not commit.is_dir():
        return
    for path in sorted(commit.iterdir(), key=lambda path: path.name == MANIFEST):
        path.replace(folder / path.name)
    _sync_folder(folder)
    commit.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    path = folder / _LOCK
    holder = folder / f"{_LOCK}-holder"
    with _disk_errors(folder):
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            who = holder.read_text() if holder.is_file() else "another process"
            raise BundleError(
                f"{folder} is being written by {who}.", "Wait until it is done, then try again."
            ) from None
        try:
            holder.write_text(f"process {os.getpid()}")
            _finish_commit(folder)
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()


@contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{target} could not be written: {error.strerror or error}.",
            "Free some space or choose another place with --output; nothing was changed.",
        ) from error


def _read_file(folder: Path, name: str) -> bytes | None:
    for path in (folder / _COMMIT / name, folder / name):
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return path.read_bytes()
    return None


def _read_manifest(text: bytes, path: Path) -> Manifest:
    found = _DIGEST.search(text)
    if found is None or found[1].decode() != sha256(_DIGEST.sub(_zeroed(), text)):
        raise BundleError(
            f"{path} is damaged or was edited: its digest differs.",
            "Copy the bundle anew, or make it again.",
        )
    manifest = from_json(Manifest, text, where=str(path))
    if manifest.schema_version > SCHEMA_VERSION:
        raise BundleError(
            f"{path} was written by edgecnn {manifest.edgecnn}, which this version cannot read.",
            "Install that version or a newer one.",
        )
    return manifest


def _seal(manifest: Manifest) -> bytes:
    text = to_json(replace(manifest, digest=_NO_DIGEST))
    return _DIGEST.sub(f'"digest": "{sha256(text)}"'.encode(), text)


def _zeroed() -> bytes:
    return f'"digest": "{_NO_DIGEST}"'.encode()


def _write_file(path: Path, content: bytes) -> FileRecord:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return FileRecord(sha256(content), len(content))


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace_folder(fresh: Path, folder: Path) -> None:
    _sync_folder(fresh)
    if not folder.exists():
        fresh.rename(folder)
        return
    aside = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    folder.rename(aside)
    try:
        fresh.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)
