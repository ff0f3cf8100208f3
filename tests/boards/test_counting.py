"""Programs whose needs are known beforehand: instructions, stack, every kind of memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecnn.boards.building import DoesNotFitError, Image, Sizes, build
from edgecnn.boards.cores import BOARDS, Board, find_boards
from edgecnn.boards.emulating import BoardSession
from edgecnn.boards.tools import find_tools
from edgecnn.errors import ModelError, RuntimeCrashed
from edgecnn.spec import Variant
from tests.boards.test_boards import needs_boards

pytestmark = needs_boards
NOTHING = "*outputs = *input;"
LOOP = """
    int left = {turns};
    __asm__ volatile(".syntax unified\\n 1: subs %0, #1\\n bne 1b" : "+l"(left) : : "cc");
    *outputs = *input;
"""
STACK = "volatile char used[1000]; for (int i = 0; i < 1000; i++) used[i] = 1; *outputs = used[9];"


def by_name(name: str) -> Board:
    (found,) = find_boards([name])
    return found


def write(folder: Path, body: str, before: str = "") -> Variant:
    """Write a net of a test's own, as `convert` writes one: four bytes in, a float out."""
    folder.mkdir()
    code = f'#include "net.h"\n{before}\nvoid net_run(const uint8_t *input, float *outputs)\n'
    (folder / "net.c").write_text(f"{code}{{\n{body}\n}}\n")
    (folder / "net.h").write_text(
        "#include <stdint.h>\nvoid net_run(const uint8_t *input, float *outputs);\n"
    )
    facts = {
        "prefix": "net",
        "input": {"name": "x", "dtype": "uint8", "shape": [1, 4]},
        "outputs": [{"name": "y", "dtype": "float32", "shape": [1, 1]}],
        "weights_bytes": 0,
        "arena_bytes": 64,
    }
    (folder / "net.json").write_text(json.dumps(facts))
    files = tuple(str(folder / f"net.{ending}") for ending in ("c", "h", "json"))
    return Variant("net", "fp32", "c", files)


def built(variant: Variant, board: Board, folder: Path) -> Image:
    folder.mkdir(exist_ok=True)
    return build(variant, board, find_tools(), folder)


def answered(image: Image, board: Board, seconds: float = 60) -> tuple[BoardSession, float]:
    session = BoardSession(image, board, find_tools(), seconds)
    outputs = session.run({"x": np.array([[7, 0, 0, 0]], np.uint8)})
    return session, float(outputs["y"][0, 0])


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_instructions_are_those_that_run(board: Board, tmp_path: Path) -> None:
    image = built(write(tmp_path / "net", LOOP.format(turns=500_000)), board, tmp_path / "made")
    session, answer = answered(image, board)
    assert answer == 7
    assert session.counts[0].instructions == pytest.approx(1_000_000, rel=1e-3)


def test_the_timer_may_turn_over(tmp_path: Path) -> None:
    board, turns = by_name("cortex-m55"), 270_000_000  # it turns after 524 million instructions
    image = built(write(tmp_path / "net", LOOP.format(turns=turns)), board, tmp_path / "made")
    session, _ = answered(image, board)
    assert session.counts[0].instructions == pytest.approx(2 * turns, rel=1e-4)


@pytest.mark.parametrize("name", ["cortex-m0", "cortex-m55"])
def test_stack_is_what_the_net_uses(name: str, tmp_path: Path) -> None:
    board = by_name(name)
    used = []
    for place, body in enumerate((NOTHING, STACK)):
        image = built(write(tmp_path / f"net{place}", body), board, tmp_path / f"made{place}")
        used.append(answered(image, board)[0].counts[0].stack)
    assert 1000 <= used[1] - used[0] <= 1032
    assert used[0] <= 64


def test_sizes_are_the_nets_alone(tmp_path: Path) -> None:
    board = by_name("cortex-m4")
    memory = (
        "static const int constants[500] = {1};\n"
        "static volatile int variables[20] = {3};\n"
        "static volatile char arena[64], zeros[200];\n"
    )
    body = "*outputs = (float)(constants[*input] + variables[*input] + zeros[*input] + arena[0]);"
    large = built(write(tmp_path / "net", body, memory), board, tmp_path / "made").sizes
    assert (large.weights, large.data, large.arena, large.bss) == (2000, 80, 64, 200)
    assert 16 < large.code < 100
    assert (large.flash, large.ram) == (large.code + 2080, 344)


def test_weights_in_a_file_of_their_own_are_linked_in(tmp_path: Path) -> None:
    board = by_name("cortex-m4")
    variant = write(tmp_path / "net", NOTHING)
    function = "void net_run(const void *weights, const uint8_t *input, float *outputs)"
    header = tmp_path / "net" / "net.h"
    header.write_text(f"#include <stdint.h>\n{function};\n")
    body = "*outputs = (float)((const signed char *)weights)[*input + 2999 - 7];"
    (tmp_path / "net" / "net.c").write_text(f'#include "net.h"\n{function}\n{{\n{body}\n}}\n')
    (tmp_path / "net" / "net.bin").write_bytes(bytes(2999) + bytes([133]))
    files = (*variant.files, str(tmp_path / "net" / "net.bin"))
    image = built(replace(variant, files=files), board, tmp_path / "made")
    assert image.sizes.weights == 3000
    assert answered(image, board)[1] == 133 - 256


def test_both_memories_that_are_too_small_are_named(tmp_path: Path) -> None:
    memory = "static const char constants[300000] = {1};\nstatic volatile char arena[20000];\n"
    variant = write(tmp_path / "net", "*outputs = (float)(constants[*input] + arena[0]);", memory)
    with pytest.raises(DoesNotFitError) as refused:
        built(variant, by_name("cortex-m0"), tmp_path / "made")
    assert " bytes of flash of 262,144 and " in refused.value.problem
    assert " bytes of RAM of 16,384, with the image" in refused.value.problem
    assert "or an int8 variant" in refused.value.remedy
    assert isinstance(built(variant, by_name("cortex-m3"), tmp_path / "other").sizes, Sizes)


def test_what_the_compiler_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"does not compile 'net' for cortex-m4: .*net\.c:.*error"):
        built(write(tmp_path / "net", "no C;"), by_name("cortex-m4"), tmp_path / "made")


def test_a_core_that_faults_is_told(tmp_path: Path) -> None:
    variant = write(tmp_path / "net", '__asm__ volatile("udf #0"); *outputs = *input;')
    board = by_name("cortex-m3")
    with pytest.raises(RuntimeCrashed, match="on cortex-m3 failed: the core ended in a fault"):
        answered(built(variant, board, tmp_path / "made"), board)


def test_a_core_that_never_ends_is_told(tmp_path: Path) -> None:
    board = by_name("cortex-m3")
    image = built(write(tmp_path / "net", "for (;;) *outputs = *input;"), board, tmp_path / "made")
    with pytest.raises(RuntimeCrashed, match=r"on cortex-m3 has no answer after 0\.5 s"):
        answered(image, board, seconds=0.5)
