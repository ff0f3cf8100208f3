"""The manifest of a bundle: what it says, sealed by a digest of its own, read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from edgecnn import __version__
from edgecnn.errors import BundleError, InputError
from edgecnn.records import from_builtins, parse_json, sha256, to_json
from edgecnn.spec import DataRef, InputContract, Variant

SCHEMA_VERSION = 3
_OLDEST = 2  # which lacks nothing but a deployment
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
GOLDEN = "golden.npz"
_REPORTS = "reports"
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
        source: A name on the shelf, `FILE.py:factory`, `package.module:factory`,
            `torchvision:NAME` or `timm:NAME`.
        arguments: What the factory is called with.
        sha256: Digest of the file that defines it; empty where it comes from an installed package.
    """

    source: str
    arguments: dict[str, bool | int | float | str]
    sha256: str = ""


@dataclass(frozen=True)
class Deployment:
    """How a bundle is best run on a machine, as `edgecnn tune` found it.

    Attributes:
        variant: Name of the variant.
        runtime: Name of the runtime; of one that is not on the shelf, its path.
        provider: Where it computes.
        threads: Threads within an operator.
        options: The runtime's own options; those left out are as the runtime has them by itself.
        precision: What float32 operators compute in.
        batch_size: Images in one run.
        cpu: The CPU that it was tuned on, by its own name.
        tuned: When, UTC, ISO 8601.
        measured: SHA-256 of each file of the variant that was measured, by name.
        report: The report of it: a file in `reports/`.
        report_sha256: Its digest.
        versions: Versions of the packages that the runtime uses.
    """

    variant: str
    runtime: str
    provider: str
    threads: int
    options: dict[str, str]
    precision: str
    batch_size: int
    cpu: str
    tuned: str
    measured: dict[str, str]
    report: str
    report_sha256: str
    versions: dict[str, str]


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
        deployment: How commands run it where nobody says how; None where they choose themselves.
    """

    KIND: ClassVar[str] = "manifest"
    VERSION: ClassVar[int] = SCHEMA_VERSION

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
    # A manifest of version 2 has none.
    deployment: Deployment | None = None


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


def read_manifest(text: bytes, path: Path) -> Manifest:
    """Read a manifest from its bytes; the path is for errors.

    Raises:
        BundleError: It is damaged, edited, of another layout, or contradicts itself.
    """
    if stated_digest(text) != sha256(_DIGEST.sub(_digest_line(_NO_DIGEST), text)):
        raise BundleError(
            f"{path} is damaged or was edited: its digest differs.",
            "Copy the bundle anew, or make it again.",
        )
    data = parse_json(text, where=str(path))
    _refuse_other_layouts(data, path)
    manifest = from_builtins(Manifest, data, where=str(path))
    _refuse_outside(manifest, path)
    _refuse_contradictions(manifest, path)
    return manifest


def seal(manifest: Manifest, have: Mapping[str, FileRecord], files: Mapping[str, bytes]) -> bytes:
    """Give the bytes of a manifest with its own digest in it.

    Args:
        manifest: What the bundle is; `files` and `digest` are filled in here.
        have: Files that the bundle has already.
        files: New ones, and their contents.
    """
    new = {name: FileRecord(sha256(data), len(data)) for name, data in files.items()}
    files_now = {**have, **new}
    text = to_json(
        replace(manifest, schema_version=SCHEMA_VERSION, files=files_now, digest=_NO_DIGEST)
    )
    return _DIGEST.sub(_digest_line(sha256(text)), text)


def stated_digest(text: bytes) -> str | None:
    """Give the digest that a manifest states of itself; None if it states none."""
    found = _DIGEST.search(text)
    return None if found is None else found[1].decode()


def stated_time(text: bytes, path: Path) -> str:
    """Give when a manifest says that it was made, of whatever layout it is.

    Raises:
        BundleError: It does not say.
    """
    try:
        created = parse_json(text, where=str(path)).get("created")
    except InputError:
        created = None
    return created if isinstance(created, str) else read_manifest(text, path).created


def _refuse_other_layouts(data: dict[str, Any], path: Path) -> None:
    version = data.get("schema_version")
    if isinstance(version, int) and not _OLDEST <= version <= SCHEMA_VERSION:
        newer = version > SCHEMA_VERSION
        raise BundleError(
            f"{path} was written by edgecnn {data.get('edgecnn')} in "
            f"{'a newer' if newer else 'an older'} layout, which this version cannot read.",
            "Install that version or a newer one." if newer else "Make the bundle again.",
        )


def _refuse_outside(manifest: Manifest, path: Path) -> None:
    for name in manifest.files or {}:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or "\\" in name:
            raise BundleError(f"{path} names a file outside the bundle: {name}.", "Do not use it.")
        # What lies under these names has a meaning of its own, and changes without the manifest.
        if pure.parts[:1] in ((), (MANIFEST,), (_REPORTS,)) or pure.parts[0].startswith("."):
            raise BundleError(
                f"{path} lists '{name}', which cannot be a file of a bundle.", "Do not use it."
            )


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


def _digest_line(digest: str) -> bytes:
    return f'  "digest": "{digest}"'.encode()
