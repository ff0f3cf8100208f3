"""A bundle: the folder that commands read and extend. Open it, check it, add to it.

The manifest names every file with its digest and is written last (see `edgecnn.disk`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edgecnn import __version__, disk
from edgecnn.errors import BundleError, InputError
from edgecnn.manifest import (
    GOLDEN,
    MANIFEST,
    SCHEMA_VERSION,
    WEIGHTS,
    FileRecord,
    Manifest,
    ModelRef,
    new_manifest,
    read_manifest,
    seal,
    stated_digest,
    stated_time,
)
from edgecnn.records import sha256
from edgecnn.spec import Parent, Variant

__all__ = [
    "GOLDEN",
    "MANIFEST",
    "SCHEMA_VERSION",
    "WEIGHTS",
    "Bundle",
    "FileRecord",
    "Manifest",
    "ModelRef",
    "change_manifest",
    "change_variant",
    "create",
    "extend",
    "new_manifest",
    "newest_bundle",
    "open_bundle",
    "refuse_existing",
    "refuse_foreign",
]


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
            self.refuse_changed()
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

    def refuse_changed(self) -> None:
        """Refuse to go on with a bundle whose manifest was replaced since it was opened.

        Raises:
            BundleError: It was.
        """
        now = stated_digest(disk.read_file(self.folder, MANIFEST) or b"")
        if now not in (None, self.manifest.digest):
            raise BundleError(
                f"{self.folder} was changed by another process while it was being read.",
                "Run the command again.",
            )

    def parent(self, file: str) -> Parent:
        """Name a file of this bundle as a variant's parent."""
        return Parent(file, self.files[file].sha256)

    def _verified(self, file: str) -> Path:
        self.read(file)
        return disk.place(self.folder, file)

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
        BundleError: The folder is no bundle, or its manifest is damaged or of another layout.
    """
    folder = Path(folder)
    text = disk.read_file(folder, MANIFEST)
    if text is None:
        raise BundleError(
            f"{folder} {_why_no_bundle(folder)}.",
            "Make a bundle with `edgecnn train`, or name another folder.",
        )
    return Bundle(folder, read_manifest(text, folder / MANIFEST))


def newest_bundle(runs: Path = Path("runs")) -> Bundle:
    """Open the bundle under a folder that was created last; the others need not be readable.

    Raises:
        BundleError: There is none, or it cannot be opened.
    """
    folders = [path for path in sorted(runs.glob("*")) if not path.name.startswith(".")]
    texts = {path: disk.read_file(path, MANIFEST) for path in folders}
    times = {
        path: stated_time(text, path / MANIFEST) for path, text in texts.items() if text is not None
    }
    if not times:
        raise BundleError(
            f"There is no bundle under {runs}/.",
            "Make one with `edgecnn train`, or name a bundle's folder.",
        )
    return open_bundle(max(times, key=lambda path: times[path]))


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
        disk.make_folder(folder, {**files, MANIFEST: seal(manifest, {}, files)})
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


def change_manifest(bundle: Bundle, change: Callable[[Bundle], Manifest]) -> Bundle:
    """Change what the manifest says, as it is now; its files are untouched.

    Raises:
        BundleError: Another process writes to the bundle.
        InputError: The disk is full or not writable.
    """
    with _writing(bundle.folder):
        current = open_bundle(bundle.folder)
        manifest = replace(change(current), edgecnn=__version__)
        _commit(bundle.folder, manifest, current.files, {})
    return open_bundle(bundle.folder)


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
    sealed = seal(manifest, have, files)
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
