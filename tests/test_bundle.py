"""Bundles: made, extended, refused, damaged, stale, locked, and on disks that take nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn import bundle as bundles
from edgecnn.bundle import Bundle
from edgecnn.errors import BundleError, EdgeCNNError, InputError
from edgecnn.records import sha256
from edgecnn.spec import InputContract, Parent, Variant

CONTRACT = InputContract(8, 8, labels=("cat", "dog"))
FP32 = Variant("fp32", "fp32", "onnx", ("fp32.onnx",), made_by="edgecnn export")


def manifest(name: str = "net") -> bundles.Manifest:
    return bundles.new_manifest(name, CONTRACT, model=None, data=None, environment={"a": "b"})


def make(folder: Path, content: bytes = b"weights") -> Bundle:
    return bundles.create(folder, manifest(folder.name), {bundles.WEIGHTS: content})


@pytest.fixture
def full(tmp_path: Path) -> Bundle:
    bundle = make(tmp_path / "net")
    fp32 = replace(FP32, parent=bundle.parent(bundles.WEIGHTS))
    bundle = bundles.extend(bundle, {"fp32.onnx": b"graph" * 99, "golden.npz": b"g" * 300}, fp32)
    int8 = Variant(
        "int8",
        "int8",
        "onnx",
        ("int8.onnx",),
        parent=bundle.parent("fp32.onnx"),
        made_by="edgecnn export --quantize",
    )
    return bundles.extend(bundle, {"int8.onnx": b"smaller" * 40}, int8)


def read_all(folder: Path) -> dict[str, bytes]:
    bundle = bundles.open_bundle(folder)
    return {name: bundle.read(name) for name in bundle.files}


def test_what_is_written_is_read(full: Bundle) -> None:
    again = bundles.open_bundle(full.folder)
    assert again == full
    assert again.manifest.contract == CONTRACT
    assert [variant.name for variant in again.manifest.variants] == ["fp32", "int8"]
    assert read_all(full.folder)["int8.onnx"] == b"smaller" * 40
    assert Path(again.locate("int8").files[0]).read_bytes() == b"smaller" * 40
    assert {path.name for path in full.folder.iterdir()} == {
        *again.files,
        bundles.MANIFEST,
        ".lock",
    }


def test_a_variant_is_replaced_not_doubled(full: Bundle) -> None:
    again = bundles.extend(full, {"fp32.onnx": b"other"}, replace(FP32, settings={"opset": "18"}))
    assert [variant.name for variant in again.manifest.variants] == ["fp32", "int8"]
    assert again.variant("fp32").settings == {"opset": "18"}
    assert again.read("fp32.onnx") == b"other"


def test_a_change_of_the_record_leaves_files_alone(full: Bundle) -> None:
    again = bundles.change_variant(
        full, "fp32", lambda v: replace(v, settings={"digest": "0" * 64})
    )
    assert again.files == full.files
    assert bundles.open_bundle(full.folder).variant("fp32").settings == {"digest": "0" * 64}


def test_golden_vectors_never_change(full: Bundle) -> None:
    bundles.extend(full, {"golden.npz": b"g" * 300}, FP32)
    with pytest.raises(BundleError, match="golden vectors never change"):
        bundles.extend(full, {"golden.npz": b"h" * 300}, FP32)


def test_unknown_names_say_what_there_is(full: Bundle) -> None:
    with pytest.raises(BundleError, match=r"has no variant 'fp16'; it has fp32, int8"):
        full.variant("fp16")
    with pytest.raises(BundleError, match="has no file 'x'"):
        full.read("x")


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "net")
    with pytest.raises(BundleError, match="already exists") as caught:
        make(tmp_path / "net", b"other")
    assert "--force" in caught.value.remedy
    assert read_all(tmp_path / "net") == {bundles.WEIGHTS: b"weights"}


def test_force_replaces_a_bundle_and_keeps_its_reports(full: Bundle) -> None:
    report = full.folder / "reports" / "x.json"
    report.parent.mkdir()
    report.write_text("{}")
    bundles.create(full.folder, manifest("new"), {bundles.WEIGHTS: b"new"}, force=True)
    assert read_all(full.folder) == {bundles.WEIGHTS: b"new"}
    assert report.exists()


def test_force_replaces_a_damaged_bundle_and_an_empty_folder(full: Bundle, tmp_path: Path) -> None:
    (full.folder / bundles.MANIFEST).write_text("{")
    (tmp_path / "empty").mkdir()
    for folder in (full.folder, tmp_path / "empty"):
        bundles.create(folder, manifest(), {bundles.WEIGHTS: b"new"}, force=True)
        assert read_all(folder) == {bundles.WEIGHTS: b"new"}


def test_force_touches_no_folder_that_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BundleError, match="is no bundle, so --force will not touch it"):
        bundles.create(tmp_path, manifest(), {bundles.WEIGHTS: b""}, force=True)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_the_newest_bundle_is_the_one_created_last(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="There is no bundle under"):
        bundles.newest_bundle(tmp_path)
    make(tmp_path / "z")
    newest = make(tmp_path / "a")
    (tmp_path / "notes.txt").write_text("not a bundle")
    # What a crash leaves of a bundle that never came to be.
    shutil.copytree(tmp_path / "a", tmp_path / ".b.new-1")
    assert bundles.newest_bundle(tmp_path).folder == newest.folder


def test_only_the_newest_bundle_need_be_readable(tmp_path: Path) -> None:
    old, newest = make(tmp_path / "old"), make(tmp_path / "new")
    resealed(old, schema_version=1)
    assert bundles.newest_bundle(tmp_path).folder == newest.folder
    resealed(newest, schema_version=1)
    with pytest.raises(BundleError, match=r"new.manifest\.json was written .* an older layout"):
        bundles.newest_bundle(tmp_path)
    (old.folder / bundles.MANIFEST).write_text("{")
    with pytest.raises(BundleError, match=r"old.manifest\.json is damaged"):
        bundles.newest_bundle(tmp_path)


@pytest.mark.parametrize(
    ("name", "problem"),
    [("absent", "does not exist"), ("file", "is a file"), ("folder", "has no manifest.json")],
)
def test_what_is_no_bundle_says_why(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BundleError, match=problem):
        bundles.open_bundle(tmp_path / name)


def test_every_flipped_bit_is_found(full: Bundle) -> None:
    chance = random.Random(4)
    for path in [full.folder / name for name in (*full.files, bundles.MANIFEST)]:
        content = path.read_bytes()
        bits = {0, 8 * len(content) - 1, *(chance.randrange(8 * len(content)) for _ in range(60))}
        for bit in bits:
            damaged = bytearray(content)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            with pytest.raises(BundleError, match=r"damaged|not the file that was written"):
                read_all(full.folder)
        path.write_bytes(content)
    read_all(full.folder)


@pytest.mark.parametrize("damage", ["truncated", "missing", "foreign", "a folder"])
def test_files_that_are_not_what_was_written_are_refused(full: Bundle, damage: str) -> None:
    path = full.folder / "int8.onnx"
    content = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(content[:-1])
    elif damage == "foreign":
        path.write_bytes((full.folder / "fp32.onnx").read_bytes())
    elif damage == "a folder":
        path.mkdir()
    with pytest.raises(BundleError, match=r"int8\.onnx is (missing|not the file)") as caught:
        full.locate("int8")
    assert caught.value.remedy == f"Make it anew with `edgecnn export --quantize {full.folder}`."
    full.locate("fp32")


def test_a_manifest_that_was_edited_is_refused(full: Bundle) -> None:
    path = full.folder / bundles.MANIFEST
    path.write_bytes(path.read_bytes().replace(b'"cat"', b'"cow"'))
    with pytest.raises(BundleError, match="is damaged or was edited"):
        bundles.open_bundle(full.folder)


def resealed(bundle: Bundle, **changes: object) -> None:
    """Rewrite a manifest as somebody who can compute digests would."""
    path = bundle.folder / bundles.MANIFEST
    data = json.loads(path.read_bytes()) | changes | {"digest": "0" * 64}
    text = json.dumps(data, indent=2).encode()
    path.write_bytes(text.replace(b"0" * 64, sha256(text).encode()))


@pytest.mark.parametrize(
    ("version", "layout"), [(bundles.SCHEMA_VERSION + 1, "a newer"), (1, "an older")]
)
def test_a_manifest_of_another_layout_names_its_version(
    full: Bundle, version: int, layout: str
) -> None:
    resealed(full, schema_version=version, edgecnn="9.0", wonders="unknown")
    with pytest.raises(BundleError, match=rf"was written by edgecnn 9\.0 in {layout} layout"):
        bundles.open_bundle(full.folder)


def test_unknown_keys_in_a_manifest_are_refused(full: Bundle) -> None:
    resealed(full, wonders="unknown")
    with pytest.raises(InputError, match="nothing is called `wonders`"):
        bundles.open_bundle(full.folder)


@pytest.mark.parametrize("name", ["/etc/passwd", "../other/x", "a/../../x", "..\\x"])
def test_a_manifest_that_reaches_outside_is_refused(full: Bundle, name: str) -> None:
    resealed(full, files={name: {"sha256": "0", "size": 1}})
    with pytest.raises(BundleError, match="names a file outside the bundle"):
        bundles.open_bundle(full.folder)


@pytest.mark.parametrize("name", ["manifest.json", ".commit/x", ".lock", "reports/x.json", "", "."])
def test_a_manifest_cannot_list_what_is_no_file_of_the_bundle(full: Bundle, name: str) -> None:
    resealed(full, files={name: {"sha256": "0", "size": 1}})
    with pytest.raises(BundleError, match="which cannot be a file of a bundle"):
        bundles.open_bundle(full.folder)


def test_a_variant_goes_stale_with_its_parent(full: Bundle) -> None:
    again = bundles.extend(full, {"fp32.onnx": b"another graph"}, FP32)
    again.locate("fp32")
    with pytest.raises(BundleError, match=r"'int8' of .* is stale: fp32\.onnx changed") as caught:
        again.locate("int8")
    assert caught.value.remedy == f"Make it anew with `edgecnn export --quantize {full.folder}`."


def test_a_variant_goes_stale_with_its_parents_parent(full: Bundle) -> None:
    gone = replace(full.variant("fp32"), parent=Parent(bundles.WEIGHTS, "0" * 64))
    again = bundles.extend(full, {}, gone)
    with pytest.raises(BundleError, match=r"'fp32' of .* is stale"):
        again.locate("int8")


def test_a_bundle_changed_while_it_is_read_says_so(full: Bundle) -> None:
    bundles.extend(full, {"fp32.onnx": b"another graph"}, FP32)
    with pytest.raises(BundleError, match="was changed by another process"):
        full.read("fp32.onnx")


def test_readers_never_see_half_a_change(full: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # slow, and of no account to readers
    stop, problems = threading.Event(), []

    def keep_reading() -> None:
        while not stop.is_set():
            try:
                content = read_all(full.folder)
                if content["fp32.onnx"] != content["twin.onnx"]:
                    problems.append("half")
            except BundleError as error:
                if "changed by another process" not in str(error):
                    problems.append(str(error))

    twins = replace(FP32, files=("fp32.onnx", "twin.onnx"))
    bundles.extend(full, {"fp32.onnx": b"0", "twin.onnx": b"0"}, twins)
    reader = threading.Thread(target=keep_reading)
    reader.start()
    for number in range(150):
        content = str(number).encode()
        bundles.extend(full, {"fp32.onnx": content, "twin.onnx": content}, twins)
    stop.set()
    reader.join()
    assert problems == []


HOLD = """
import sys
from pathlib import Path
from edgecnn import disk
with disk.locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_names_its_process_and_dies_with_it(full: Bundle) -> None:
    command = [sys.executable, "-c", HOLD, str(full.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(BundleError, match=f"is being written by process {holder.pid}"):
            bundles.extend(full, {}, FP32)
        assert read_all(full.folder)["fp32.onnx"] == b"graph" * 99
        holder.send_signal(signal.SIGKILL)
    bundles.extend(full, {"fp32.onnx": b"after"}, FP32)
    assert read_all(full.folder)["fp32.onnx"] == b"after"


# Runs in a child: what it takes from itself cannot be given back.
HOSTILE_DISK = """
import ctypes, os, resource, sys
from pathlib import Path
from edgecnn import bundle as bundles
from edgecnn.errors import EdgeCNNError
from edgecnn.spec import Variant

what, folder = sys.argv[1], Path(sys.argv[2])
bundle = bundles.open_bundle(folder)
import filelock, msgspec
if what == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
else:
    # Root may write anywhere until it gives up its capabilities.
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset(header, none) == 0
    for place in (folder, folder.parent):
        place.chmod(0o555)
assert bundle.locate("fp32").path.read_bytes() == b"graph" * 99
variant = Variant("fp32", "fp32", "onnx", ("fp32.onnx",))
content = {"fp32.onnx": b"0" * 100_000}
for write in (
    lambda: bundles.extend(bundle, content, variant),
    lambda: bundles.create(folder, bundle.manifest, content, force=True),
    lambda: bundles.create(folder.with_name("fresh"), bundle.manifest, content),
):
    try:
        write()
        print("written")
    except EdgeCNNError as error:
        print(error.exit_code, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="takes rights from a process as Linux does")
@pytest.mark.parametrize("what", ["full", "read-only"])
def test_a_disk_that_takes_nothing_leaves_the_bundle_as_it_was(full: Bundle, what: str) -> None:
    before = read_all(full.folder)
    names = {path.name for path in full.folder.iterdir()}
    command = [sys.executable, "-c", HOSTILE_DISK, what, str(full.folder)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    for path in (full.folder.parent, full.folder):
        path.chmod(0o755)
    assert child.returncode == 0, child.stderr
    lines = child.stdout.splitlines()
    reason = "File too large" if what == "full" else "Permission denied"
    assert [line[:2] for line in lines] == ["2 "] * 3, lines
    assert all("could not be written: " + reason in line for line in lines), lines
    assert read_all(full.folder) == before
    assert {path.name for path in full.folder.iterdir()} == names
    assert [path.name for path in full.folder.parent.iterdir()] == ["net"]


def test_a_manifest_that_may_not_be_read_is_an_error(full: Bundle) -> None:
    path = full.folder / bundles.MANIFEST
    path.unlink()
    path.symlink_to(path.name)  # a loop: an error even for root
    with pytest.raises(EdgeCNNError, match="cannot be read"):
        bundles.open_bundle(full.folder)


def test_ctrl_c_in_the_middle_leaves_the_bundle_as_it_was(
    full: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    before = read_all(full.folder)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            bundles.extend(full, {"fp32.onnx": b"new"}, FP32)
    assert read_all(full.folder) == before
    bundles.extend(full, {"fp32.onnx": b"new"}, FP32)


FOREIGN = [
    ({"files": ["/etc/passwd"]}, "does not list: /etc/passwd"),
    ({"golden": "../x"}, r"does not list: \.\./x"),
    ({"files": []}, "'int8' no file"),
    ({"name": "fp32"}, "'fp32' twice"),
    ({"parent": {"file": "int8.onnx", "sha256": "0"}}, r"int8\.onnx its own ancestor"),
]


@pytest.mark.parametrize(("change", "problem"), FOREIGN)
def test_a_manifest_that_contradicts_itself_is_refused(
    full: Bundle, change: dict[str, object], problem: str
) -> None:
    variants = json.loads((full.folder / bundles.MANIFEST).read_bytes())["variants"]
    variants[1] |= change
    resealed(full, variants=variants)
    with pytest.raises(BundleError, match=problem):
        bundles.open_bundle(full.folder)


def test_parents_that_go_in_a_circle_are_refused(full: Bundle) -> None:
    variants = json.loads((full.folder / bundles.MANIFEST).read_bytes())["variants"]
    variants[0]["parent"]["file"] = "int8.onnx"
    resealed(full, variants=variants)
    with pytest.raises(BundleError, match="its own ancestor"):
        bundles.open_bundle(full.folder)
