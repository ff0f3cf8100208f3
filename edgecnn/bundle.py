"""A bundle: the folder that commands read and extend. Open it, check it, add to it.

The manifest names every file with its digest and is written last (see `edgecnn.disk`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any

from edgecnn import __version__, disk
from edgecnn.errors import BundleError, InputError
from edgecnn.records import from_builtins, parse_json, sha256, to_json
from edgecnn.spec import DataRef, InputContract, Parent, Variant

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
GOLDEN = "golden.npz"
# Only the manifest's own: nested keys are indented further.
_DIGEST = re.compile(rb'^  "digest": "([0-9a-f]{64})"', re.MULTILINE)
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
        variants: Deployable forms, in the order they were first made: comparisons begin with the
            first.
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
        content = disk.read_file(self.folder, file)
        if content is None or sha256(content) != record.sha256:
            self._refuse_changed()
            raise self._damaged(file, missing=content is None)
        return content

    def refuse_stale(self, variant: Variant) -> None:
        """Refuse a variant whose parent, or that one's parent, changed since it was made.

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
        for ancestor in self.manifest.variants:
            if variant.parent.file in ancestor.files:
                self.refuse_stale(ancestor)

    def parent(self, file: str) -> Parent:
        """Name a file of this bundle as a variant's parent."""
        return Parent(file, self.files[file].sha256)

    def _verified(self, file: str) -> Path:
        self.read(file)
        return disk.place(self.folder, file)

    def _refuse_changed(self) -> None:
        text = disk.read_file(self.folder, MANIFEST) or b""
        now = _DIGEST.search(text)
        if now is not None and now[1].decode() != self.manifest.digest:
            raise BundleError(
                f"{self.folder} was changed by another process while it was being read.",
                "Run the command again.",
            )

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
    text = disk.read_file(folder, MANIFEST)
    if text is None:
        raise BundleError(
            f"{folder} {_why_no_bundle(folder)}.",
            "Make a bundle with `edgecnn train`, or name another folder.",
        )
    return Bundle(folder, _read_manifest(text, folder / MANIFEST))


def newest_bundle(runs: Path = Path("runs")) -> Bundle:
    """Open the bundle under a folder that was created last.

    Raises:
        BundleError: There is none.
    """
    folders = [path for path in sorted(runs.glob("*")) if not path.name.startswith(".")]
    bundles = [open_bundle(path) for path in folders if disk.read_file(path, MANIFEST) is not None]
    if not bundles:
        raise BundleError(
            f"There is no bundle under {runs}/.",
            "Make one with `edgecnn train`, or name a bundle's folder.",
        )
    return max(bundles, key=lambda bundle: bundle.manifest.created)


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
        force: Replace the bundle that is there; its reports stay.

    Raises:
        BundleError: The folder exists and `force` was not given, or it is no bundle.
        InputError: The disk is full or not writable.
    """
    if force and folder.is_dir() and any(folder.iterdir()):
        refuse_foreign(folder)
        with _writing(folder):
            _commit(folder, manifest, {}, files)
        return open_bundle(folder)
    if not force:
        refuse_existing(folder)
    try:
        disk.make_folder(folder, {**files, MANIFEST: _seal(manifest, {}, files)})
    except InputError:
        refuse_existing(folder)  # another process was faster
        raise
    return open_bundle(folder)


def extend(bundle: Bundle, files: Mapping[str, bytes], variant: Variant) -> Bundle:
    """Add a variant and its files, or replace the one of that name; all of it or nothing.

    `golden.npz` is written once: given again, it must be the same.

    Raises:
        BundleError: Another process writes to the bundle, or changed what the variant was made
            from, or `golden.npz` would change.
        InputError: The disk is full or not writable.
    """
    with _writing(bundle.folder):
        current = open_bundle(bundle.folder)
        have = current.files.get(GOLDEN)
        if have and GOLDEN in files and sha256(files[GOLDEN]) != have.sha256:
            raise BundleError(
                f"{bundle.folder / GOLDEN} would change, and golden vectors never change.",
                "Make a new bundle with `edgecnn train --output`.",
            )
        if files:
            _refuse_changed_parent(current, variant)
        variants = {v.name: v for v in current.manifest.variants} | {variant.name: variant}
        manifest = replace(current.manifest, variants=tuple(variants.values()), edgecnn=__version__)
        _commit(bundle.folder, manifest, current.files, files)
    return open_bundle(bundle.folder)


def change_variant(bundle: Bundle, name: str, change: Callable[[Variant], Variant]) -> Bundle:
    """Change what the manifest says of a variant, its files untouched."""
    return extend(bundle, {}, change(bundle.variant(name)))


def _refuse_changed_parent(bundle: Bundle, variant: Variant) -> None:
    if variant.parent is None:
        return
    parent = bundle.files.get(variant.parent.file)
    if parent is None or parent.sha256 != variant.parent.sha256:
        raise BundleError(
            f"{bundle.folder / variant.parent.file} was changed by another process while "
            f"'{variant.name}' was made from it; nothing was written.",
            "Run the command again.",
        )


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    with disk.locked(folder):
        disk.finish_commit(folder, last=MANIFEST)
        yield


def _commit(
    folder: Path, manifest: Manifest, have: Mapping[str, FileRecord], files: Mapping[str, bytes]
) -> None:
    sealed = _seal(manifest, have, files)
    disk.commit(folder, {**files, MANIFEST: sealed}, last=MANIFEST)


def _why_no_bundle(folder: Path) -> str:
    if folder.is_dir():
        return "is no bundle: it has no manifest.json"
    return "is a file, not a bundle" if folder.exists() else "does not exist"


def refuse_foreign(folder: Path) -> None:
    """Refuse to replace a folder that holds something else than a bundle.

    Raises:
        BundleError: It does.
    """
    # --force replaces a bundle; it must not write into somebody's home.
    if disk.read_file(folder, MANIFEST) is None:
        raise BundleError(
            f"{folder} holds files and is no bundle, so --force will not touch it.",
            "Use --output to write elsewhere.",
        )


def _read_manifest(text: bytes, path: Path) -> Manifest:
    found = _DIGEST.search(text)
    if found is None or found[1].decode() != sha256(_DIGEST.sub(_digest_line(_NO_DIGEST), text)):
        raise BundleError(
            f"{path} is damaged or was edited: its digest differs.",
            "Copy the bundle anew, or make it again.",
        )
    data = parse_json(text, where=str(path))
    _refuse_newer(data, path)
    manifest = from_builtins(Manifest, data, where=str(path))
    _refuse_outside(manifest, path)
    _refuse_contradictions(manifest, path)
    return manifest


def _refuse_newer(data: dict[str, Any], path: Path) -> None:
    version = data.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BundleError(
            f"{path} was written by edgecnn {data.get('edgecnn')}, which this version cannot read.",
            "Install that version or a newer one.",
        )


def _refuse_outside(manifest: Manifest, path: Path) -> None:
    for name in manifest.files or {}:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or "\\" in name:
            raise BundleError(f"{path} names a file outside the bundle: {name}.", "Do not use it.")


def _refuse_contradictions(manifest: Manifest, path: Path) -> None:
    # A digest can be recomputed by whoever edits the manifest.
    names = [variant.name for variant in manifest.variants]
    twice = [f"names the variant '{name}' twice" for name in names if names.count(name) > 1]
    lost = [
        f"gives the variant '{variant.name}' a file that it does not list: {file}"
        for variant in manifest.variants
        for file in (*variant.files, variant.golden)
        if file is not None and file not in (manifest.files or {})
    ]
    none = [
        f"gives the variant '{variant.name}' no file"
        for variant in manifest.variants
        if not variant.files
    ]
    for what in [*twice, *lost, *none, *_parents_in_a_circle(manifest)]:
        raise BundleError(f"{path} {what}.", "Copy the bundle anew, or make it again.")


def _parents_in_a_circle(manifest: Manifest) -> list[str]:
    parents = {
        file: variant.parent.file
        for variant in manifest.variants
        for file in variant.files
        if variant.parent is not None
    }
    for file in parents:
        ancestor: str | None = parents[file]
        for _ in parents:
            if ancestor == file:
                return [f"makes {file} its own ancestor"]
            ancestor = parents.get(ancestor) if ancestor is not None else None
    return []


def _seal(manifest: Manifest, have: Mapping[str, FileRecord], files: Mapping[str, bytes]) -> bytes:
    new = {name: FileRecord(sha256(data), len(data)) for name, data in files.items()}
    text = to_json(replace(manifest, files={**have, **new}, digest=_NO_DIGEST))
    return _DIGEST.sub(_digest_line(sha256(text)), text)


def _digest_line(digest: str) -> bytes:
    return f'  "digest": "{digest}"'.encode()
