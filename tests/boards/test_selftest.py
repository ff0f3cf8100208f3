"""The golden self-test on a board: the program of its own that lies beside the boards."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecnn.boards.building import FLAGS
from edgecnn.boards.cores import find_boards
from edgecnn.codegen import Generated
from tests.boards.test_boards import needs_boards
from tests.codegen.compiled import KERNELS
from tests.codegen.test_selftest import made, two_headed

pytestmark = needs_boards
BOARDS = KERNELS.parent / "boards"


def run(net: Generated, name: str, folder: Path) -> int:
    """Link a net with its self-test for a board, and give the emulated program's exit code."""
    (board,) = find_boards([name])
    (folder / "net.c").write_text(net.source)
    (folder / "net.h").write_text(net.header)
    flags = [*board.flags, *FLAGS, "-DEDGECNN_SELFTEST", "-DNET_SELFTEST=net_selftest"]
    for source in (Path("net.c"), BOARDS / "start.c", BOARDS / "selftest.c"):
        command = ["arm-none-eabi-gcc", *flags, "-std=gnu99", "-include", "net.h"]
        command += ["-c", str(source)]
        subprocess.run(command, cwd=folder, check=True)
    script = str(BOARDS / f"{name}.ld")
    link = [*board.flags, "-mthumb", "-nostartfiles", "-L", str(BOARDS), "-T", script]
    objects = ["start.o", "selftest.o", "net.o"]
    command = ["arm-none-eabi-gcc", *link, *objects, "-Wl,--gc-sections", "-o", "net.elf"]
    subprocess.run(command, cwd=folder, check=True)
    command = ["qemu-system-arm", "-M", board.machine, "-kernel", "net.elf", "-nographic"]
    command += ["-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on"]
    return subprocess.run(command, cwd=folder, timeout=60, stdin=subprocess.DEVNULL).returncode


@pytest.mark.parametrize("name", ["cortex-m0", "cortex-m55"])
def test_a_net_proves_itself_on_a_board(name: str, tmp_path: Path) -> None:
    model, vectors = two_headed()
    assert run(made(model, vectors), name, tmp_path) == 0
    first = next(iter(vectors.outputs))
    wrong = vectors.outputs[first].copy()
    wrong[2].flat[0] = np.nextafter(wrong[2].flat[0], np.float32(9))
    changed = replace(vectors, outputs={**vectors.outputs, first: wrong})
    assert run(made(model, changed), name, tmp_path) == 3
