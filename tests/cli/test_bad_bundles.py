"""Every command that takes a bundle, given one that is not what it was: exit 2 and a remedy."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgecnn import bundle as bundles
from edgecnn.bundle import Bundle

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TypeCommand

READERS = ("parity", "eval", "bench")
COMMANDS = ("export", "quantize", *READERS, "inspect", "verify")


def remove(bundle: Bundle) -> None:
    shutil.rmtree(bundle.folder)


def empty(bundle: Bundle) -> None:
    remove(bundle)
    bundle.folder.mkdir()


def spoil(name: str, change: Callable[[bytes], bytes]) -> Callable[[Bundle], None]:
    def damage(bundle: Bundle) -> None:
        path = bundle.folder / name
        path.write_bytes(change(path.read_bytes()))

    damage.__name__ = f"{name} spoilt"
    return damage


def to_a_foreign_manifest(bundle: Bundle) -> None:
    (bundle.folder / bundles.MANIFEST).write_text(json.dumps({"name": "somebody else's"}))


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "damage",
    [
        remove,
        empty,
        to_a_foreign_manifest,
        spoil(bundles.MANIFEST, half),
        spoil(bundles.MANIFEST, flipped),
        spoil(bundles.MANIFEST, lambda content: b""),
    ],
    ids=lambda damage: damage.__name__,
)
def test_what_is_no_bundle_is_refused(
    damage: Callable[[Bundle], None],
    command: str,
    make_bundle: MakeBundle,
    type_command: TypeCommand,
) -> None:
    bundle = make_bundle()
    damage(bundle)
    before = snapshot(bundle.folder)
    done = type_command(command, bundle.folder)
    assert (done.code, done.out) == (2, "")
    problem, remedy = done.err.splitlines()
    assert problem.startswith(f"Error: {bundle.folder}")
    assert remedy
    assert snapshot(bundle.folder) == before


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("change", [half, flipped, lambda content: b"foreign"])
def test_a_damaged_variant_is_refused(
    change: Callable[[bytes], bytes],
    command: str,
    make_bundle: MakeBundle,
    type_command: TypeCommand,
) -> None:
    bundle = make_bundle()
    spoil("int8.onnx", change)(bundle)
    before = snapshot(bundle.folder)
    done = type_command(command, bundle.folder)
    assert (done.code, done.out) == (2, "")
    assert "int8.onnx is not the file that was written" in done.err
    assert f"`edgecnn export --quantize {bundle.folder}`" in done.err
    assert snapshot(bundle.folder) == before


@pytest.mark.parametrize("command", READERS)
def test_a_stale_variant_is_refused(
    command: str, make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    bundle = make_bundle()
    fp32 = bundle.variant("fp32")
    other = bundle.read("fp32.onnx").replace(b"tiny", b"TINY")
    bundles.extend(bundle, {"fp32.onnx": other}, replace(fp32))
    done = type_command(command, bundle.folder)
    assert (done.code, done.out) == (2, "")
    assert "'int8'" in done.err
    assert "is stale: fp32.onnx changed after it was made" in done.err
    assert f"`edgecnn export --quantize {bundle.folder}`" in done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_no_bundle_at_all_says_how_to_make_one(
    command: str, type_command: TypeCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = type_command(command)
    assert (done.code, done.out) == (2, "")
    assert "There is no bundle under runs/" in done.err
    assert "edgecnn train" in done.err


def test_ctrl_c_ends_with_130_and_leaves_the_bundle(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("runs/tiny")
    before = snapshot(bundle.folder)
    code = "from edgecnn.cli import main; main()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, "bench", "--duration", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=bundle.folder.parent.parent,
        start_new_session=True,  # as a shell does for what it runs in the foreground
    )
    assert child.stderr is not None
    assert "the newest bundle" in child.stderr.readline()
    time.sleep(1)  # it opens its sessions, or measures already
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in err
    assert snapshot(bundle.folder) == before
