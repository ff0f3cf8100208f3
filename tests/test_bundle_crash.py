"""A process that writes a bundle is killed before each step that touches the disk.

Whatever the moment, a reader sees the old bundle or the new one, and the next writer carries on.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn import bundle as bundles
from edgecnn.spec import InputContract, Variant

FP32 = Variant("fp32", "fp32", "onnx", ("fp32.onnx",))
OLD = {"weights.safetensors": b"w" * 50, "fp32.onnx": b"old" * 1000}

# The child copies the old bundle once for each step, and a fork of it is killed there for good:
# by SIGKILL before the step, or by SIGXFSZ in the middle of a write.
CHILD = """
import json, os, resource, shutil, signal, sys
from pathlib import Path
from edgecnn import bundle as bundles
from edgecnn.spec import Variant
import filelock, msgspec

how, root = sys.argv[1], Path(sys.argv[2])
STEPS = {"open", "os.mkdir", "os.rename", "os.rmdir", "os.remove", "os.scandir", "os.listdir"}
FP32 = Variant("fp32", "fp32", "onnx", ("fp32.onnx",))
NEW = {"fp32.onnx": b"new" * 1000, "int8.onnx": b"smaller" * 400}

def write(folder):
    if how == "extend":
        bundles.extend(bundles.open_bundle(folder), NEW, FP32)
    else:
        old = bundles.open_bundle(root / "old").manifest
        bundles.create(folder, old, {"weights.safetensors": b"x", **NEW}, force=how == "force")

def killed_at(step, folder):
    seen = 0
    def watch(event, arguments):
        nonlocal seen
        if event in STEPS and str(root) in str(arguments[0]):
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1
    sys.addaudithook(watch)
    write(folder)

def killed_in_a_write_of(limit, folder):
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    write(folder)

def fork(kill, number, folder):
    if how != "create":
        shutil.copytree(root / "old", folder)
    process = os.fork()
    if not process:
        kill(number, folder)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])

folders, step = [], 0
while True:
    folders.append(f"step-{step}")
    if not fork(killed_at, step, root / folders[-1]):
        break
    step += 1
for limit in (0, 40, 1500, 2500):
    name = f"write-{limit}"
    assert fork(killed_in_a_write_of, limit, root / name), name
    folders.insert(0, name)
print(json.dumps(folders))
"""


def content(folder: Path) -> dict[str, bytes]:
    bundle = bundles.open_bundle(folder)
    return {name: bundle.read(name) for name in bundle.files}


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and sets limits as Linux does")
@pytest.mark.parametrize("how", ["extend", "force", "create"])
def test_a_crash_leaves_the_old_bundle_or_the_new(tmp_path: Path, how: str) -> None:
    contract = InputContract(8, 8)
    manifest = bundles.new_manifest("net", contract, model=None, data=None, environment={})
    bundles.extend(bundles.create(tmp_path / "old", manifest, OLD), {}, FP32)
    command = [sys.executable, "-c", CHILD, how, str(tmp_path)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    folders = [tmp_path / name for name in json.loads(child.stdout)]
    assert len(folders) > 8
    seen = [_after_a_crash(folder, how) for folder in folders]
    # The old for a while, then the new for good, and both occur.
    assert seen == sorted(seen)
    assert seen[0] == "1 old"
    assert seen[-1] == "2 new"


def _after_a_crash(folder: Path, how: str) -> str:
    if how == "create" and not folder.exists():
        return "1 old"
    before = content(folder)
    bundle = bundles.extend(bundles.open_bundle(folder), {"third.onnx": b"3"}, FP32)
    assert content(folder) == {**before, "third.onnx": b"3"}
    assert {path.name for path in folder.iterdir()} >= {*bundle.files, bundles.MANIFEST}
    assert not [path for path in folder.iterdir() if path.name in (".staging", ".commit")]
    shutil.rmtree(folder)
    if before == OLD:
        return "1 old"
    assert before["fp32.onnx"] == b"new" * 1000
    assert before["int8.onnx"] == b"smaller" * 400
    weights = OLD["weights.safetensors"] if how == "extend" else b"x"
    assert before["weights.safetensors"] == weights
    return "2 new"
