"""Every flipped bit and every file that is not what was written is found."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import edgecnn
from edgecnn import bundle as bundles
from edgecnn.bundle import MANIFEST, Bundle
from edgecnn.errors import BundleError
from edgecnn.manifest import read_manifest
from edgecnn.verification import VerifyReport, raise_unless_sound

if TYPE_CHECKING:
    from tests.conftest import MakeBundle


def files_only(bundle: Bundle) -> VerifyReport:
    return edgecnn.verify(bundle, run=False)


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def test_a_thousand_of_a_thousand_flipped_bits_are_found(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    paths = [bundle.folder / name for name in (MANIFEST, *bundle.files)]
    sizes = [path.stat().st_size for path in paths]
    chance, found = random.Random(11), 0
    for path in chance.choices(paths, sizes, k=1000):
        bit = chance.randrange(8 * path.stat().st_size)
        flip(path, bit)
        try:
            report = files_only(bundle)
            assert report.verdict.outcome == "fail"
            raise_unless_sound(report)
        except BundleError as error:
            found += str(path) in error.problem
        flip(path, bit)
    assert found == 1000
    assert files_only(bundle).verdict.outcome == "pass"


def test_every_single_bit_of_the_manifest_counts(make_bundle: MakeBundle) -> None:
    path = make_bundle().folder / MANIFEST
    text = bytearray(path.read_bytes())
    for bit in range(8 * len(text)):
        text[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BundleError, match="is damaged or was edited"):
            read_manifest(bytes(text), path)
        text[bit // 8] ^= 1 << bit % 8
    read_manifest(bytes(text), path)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def swapped(path: Path) -> None:
    other = path.with_name("fp32.onnx")
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.skipif(os.name != "posix", reason="makes pipes and devices")
@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (Path.unlink, "is missing."),
        (truncated, "were written."),
        (longer, "were written."),
        (swapped, "holds what belongs into fp32.onnx (its SHA-256 differs)."),
        (a_folder, "is no ordinary file."),
        (a_pipe, "is no ordinary file."),
        (a_device, "is no ordinary file."),
        (a_loop, "cannot be read: Too many levels of symbolic links."),
        (a_link_to_nothing, "is missing."),
    ],
)
def test_a_file_that_is_not_what_was_written_says_why(
    make_bundle: MakeBundle, damage: Callable[[Path], None], problem: str
) -> None:
    bundle = make_bundle()
    damage(bundle.folder / "int8.onnx")
    found = files_only(bundle)
    wrong = {file.name: file.problem for file in found.files if file.problem}
    assert wrong.keys() == ({"int8.onnx", "fp32.onnx"} if damage is swapped else {"int8.onnx"})
    assert wrong["int8.onnx"].endswith(problem)
    assert (found.verdict.outcome, found.variants[1].outcome) == ("fail", "damaged")
    with pytest.raises(BundleError, match=r"int8\.onnx"):
        raise_unless_sound(found)


@pytest.mark.skipif(os.name != "posix", reason="makes pipes and devices")
@pytest.mark.parametrize("damage", [a_pipe, a_device, a_loop])
def test_a_manifest_that_never_ends_is_an_error(
    make_bundle: MakeBundle, damage: Callable[[Path], None]
) -> None:
    bundle = make_bundle()
    damage(bundle.folder / MANIFEST)
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read"):
        files_only(bundle)


def test_what_the_manifest_does_not_know_is_named(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    edgecnn.verify(bundle, run=False)
    (bundle.folder / "reports").mkdir()
    (bundle.folder / "reports" / "x.json").write_text("{}")
    assert files_only(bundle).notes == ()
    for name in ("fp32.onnx.data", "notes.txt", *"abcdef"):
        (bundle.folder / name).write_text("mine")
    found = files_only(bundle)
    assert found.verdict.outcome == "pass"
    assert found.notes == (
        "The manifest does not know a, b, c, d, e and 3 more; edgecnn never reads them.",
    )


@pytest.mark.skipif(os.name != "posix", reason="makes links")
def test_a_link_out_of_the_bundle_is_named(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle()
    whole = tmp_path / "elsewhere.onnx"
    (bundle.folder / "int8.onnx").rename(whole)
    (bundle.folder / "int8.onnx").symlink_to(whole)
    linked = tmp_path / "linked"
    linked.symlink_to(bundle.folder)
    found = edgecnn.verify(linked, run=False)
    assert found.verdict.outcome == "pass"
    assert found.notes == (
        f"{linked / 'int8.onnx'} is a link to {whole}, which does not travel with the bundle.",
    )
    flip(whole, 77)
    assert files_only(bundle).verdict.outcome == "fail"


def test_an_interrupted_write_is_no_damage(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    pending = bundle.folder / ".commit"
    pending.mkdir()
    for name in ("int8.onnx", MANIFEST):
        (bundle.folder / name).rename(pending / name)
    found = files_only(bundle)
    assert found.verdict.outcome == "pass"
    assert "A write was interrupted" in found.notes[0]
    flip(pending / "int8.onnx", 5)
    assert files_only(bundle).verdict.outcome == "fail"


def test_a_bundle_that_changes_meanwhile_says_so(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()

    def change(what: str, share: float) -> None:
        if what == "Checking fp32.onnx":
            fp32 = replace(bundle.variant("fp32"), settings={"opset": "17"})
            bundles.extend(bundle, {"fp32.onnx": b"another graph"}, fp32)

    with pytest.raises(BundleError, match="was changed by another process"):
        edgecnn.verify(bundle, run=False, progress=change)
