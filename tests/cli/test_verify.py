from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edgecnn.reports import read_report

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle
    from tests.conftest import MakeBundle, TypeCommand


PASSED = "Every file is what was written, and every answer within its tolerance."


def states(output: str) -> list[str]:
    """Give the last column of the tables."""
    found = [line.split()[-1] for line in output.splitlines() if line.strip()]
    return [word for word in found if word in ("ok", "pass", "fail", "damaged")]


def test_a_table_and_a_report(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    bundle = make_bundle()
    done = type_command("verify", bundle.folder, "--threads", 1)
    assert (done.code, done.err) == (0, "")
    assert bundle.manifest.digest in done.out
    assert "32 golden vectors" in done.out
    assert states(done.out) == [*["ok"] * len(bundle.files), *["pass"] * 4]
    assert done.out.endswith(f"{PASSED}\n")
    assert max(map(len, done.out.splitlines())) <= 80
    (path,) = (bundle.folder / "reports").iterdir()
    assert (read_report(path).kind, read_report(path).body["images"]) == ("verify", 32)


def test_json_is_one_document(two_headed: Bundle, type_command: TypeCommand) -> None:
    done = type_command("verify", two_headed.folder, "--json")
    document = json.loads(done.out)
    assert (done.code, done.err, document["kind"]) == (0, "", "verify")
    assert [check["outcome"] for check in document["body"]["variants"]] == ["pass", "pass"]
    assert document["measured"]["int8.onnx"] == two_headed.files["int8.onnx"].sha256
    assert " features" in type_command("verify", two_headed.folder).out


def test_files_alone(
    make_bundle: MakeBundle, type_command: TypeCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle("runs/tiny")
    (bundle.folder / "mine.txt").write_text("mine")
    (bundle.folder / "report.html").write_text("edgecnn report put it here")
    monkeypatch.chdir(bundle.folder.parent.parent)
    done = type_command("verify", "--no-run")
    assert done.code == 0
    assert done.err == (
        "Using runs/tiny, the newest bundle.\n"
        "The manifest does not know mine.txt; edgecnn never reads them.\n"
    )
    assert "golden vectors" not in done.out
    assert done.out.endswith("Every file is what was written. Nothing was run.\n")


def test_a_flipped_bit_is_exit_2(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    bundle = make_bundle()
    path = bundle.folder / "int8.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)
    done = type_command("verify", bundle.folder)
    assert done.code == 2
    assert states(done.out) == [*["ok"] * 3, "damaged", "ok", "pass", "pass", "damaged"]
    assert done.err == (
        f"Error: {path} is not the file that was written (its SHA-256 differs).\n"
        "'int8' was not run: int8.onnx is not what was written.\n"
        "Copy the bundle anew from where it was made, or make it again there.\n"
    )
    as_json = type_command("verify", bundle.folder, "--json")
    assert as_json.code == 2
    assert json.loads(as_json.out)["body"]["verdict"]["outcome"] == "fail"


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["--variant", "int4"], 2, "has no variant 'int4'; it has fp32, int8."),
        (["--provider", "tpu"], 3, "tpu"),
        (["--runtime", "ortt"], 2, "There is no runtime 'ortt'."),
        (["--runtime", ""], 2, "it names nothing"),
    ],
)
def test_errors_say_what_and_end_rightly(
    make_bundle: MakeBundle,
    type_command: TypeCommand,
    arguments: list[str],
    code: int,
    problem: str,
) -> None:
    done = type_command("verify", make_bundle().folder, *arguments)
    assert done.code == code
    assert problem in done.err
    assert "Traceback" not in done.err


# Runs in a child: what it takes from itself cannot be given back.
DEVICE = """
import ctypes, sys

ABSENT = ("torch", "torchvision", "onnx", "onnx_ir", "onnxscript", "safetensors")
sys.modules.update(dict.fromkeys(ABSENT))  # as if they were not installed
if sys.argv[1] == "read-only":
    # Root may write anywhere until it gives up its capabilities.
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset(header, none) == 0
import edgecnn.worker.handle as handle

whole = handle._command
block = f"import sys; sys.modules.update(dict.fromkeys({ABSENT!r}));"
handle._command = lambda *given: [
    part if number != 2 else block + part for number, part in enumerate(whole(*given))
]
from edgecnn.cli import main
main(["verify", sys.argv[2]])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="takes rights from a process as Linux does")
@pytest.mark.parametrize("disk", ["writable", "read-only"])
def test_a_device_needs_neither_torch_nor_onnx_nor_a_disk_to_write_on(
    make_bundle: MakeBundle, disk: str
) -> None:
    folder = make_bundle().folder
    if disk == "read-only":
        folder.chmod(0o555)
    command = [sys.executable, "-c", DEVICE, disk, str(folder)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    folder.chmod(0o755)
    assert child.returncode == 0, child.stderr
    assert child.stdout.endswith(f"{PASSED}\n")
    if disk == "read-only":
        assert child.stderr.startswith("The report is not kept: ")
        assert not (folder / "reports").exists()
    else:
        assert child.stderr == ""
        assert len(list((folder / "reports").iterdir())) == 1
