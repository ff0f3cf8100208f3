"""A program for one board, with the net in it."""

from __future__ import annotations

import math
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn import shelves
from edgecnn.boards.cores import Board
from edgecnn.boards.tools import Tools
from edgecnn.errors import InputError, ModelError
from edgecnn.spec import TensorSpec, Variant

# What a project on a microcontroller has, too: what nobody calls is left out.
FLAGS = ("-std=c99", "-O2", "-mthumb", "-ffunction-sections", "-fdata-sections")
# No call of memset may come into the program around the net: it would count as the net's.
_OWN_FLAGS = (
    "-std=gnu99",
    "-O2",
    "-mthumb",
    "-ffreestanding",
    "-fno-tree-loop-distribute-patterns",
)
_LINK_FLAGS = ("-mthumb", "-nostartfiles", "-Wl,--gc-sections")
_OVERFLOW = re.compile(r"region `(\w+)' overflowed by (\d+) bytes")
_LENGTH = r"\b{} \(\w+\) : ORIGIN = \w+, LENGTH = (\d+)([KM])"
_UNITS = {"K": 1 << 10, "M": 1 << 20}
_MEMORY = {"FLASH": "flash", "RAM": "RAM"}


@dataclass(frozen=True)
class Sizes:
    """Bytes that a net adds to a program; what it needs of the compiler's library is in them.

    Attributes:
        code: Instructions, in flash.
        weights: Constants, in flash: weights, biases, factors, tables.
        data: Variables that begin with a value, in flash and in RAM.
        arena: Memory for activations, in RAM.
        bss: Other variables, in RAM.
    """

    code: int
    weights: int
    data: int
    arena: int
    bss: int

    @property
    def flash(self) -> int:
        """All that lies in flash."""
        return self.code + self.weights + self.data

    @property
    def ram(self) -> int:
        """All that lies in RAM, without the stack."""
        return self.data + self.arena + self.bss


@dataclass(frozen=True)
class Image:
    """A program for a board.

    Attributes:
        file: The ELF file.
        sizes: Of the net in it.
        input: What goes in, for one image.
        outputs: What comes out, float32.
    """

    file: Path
    sizes: Sizes
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]


class DoesNotFitError(ModelError):
    """A net needs more memory than a board has."""


def build(variant: Variant, board: Board, tools: Tools, folder: Path) -> Image:
    """Compile a C variant and link it with what runs it on a board.

    Args:
        variant: The located variant.
        board: The board.
        tools: The compiler.
        folder: An empty folder.

    Raises:
        DoesNotFitError: It needs more memory than the board has.
        ModelError: The compiler refuses it.
        InputError: It is no C variant.
    """
    files = {Path(file).suffix: Path(file).resolve() for file in variant.files}
    if not {".c", ".h", ".json"} <= files.keys():
        raise InputError(
            f"'{variant.name}' is {variant.format}; boards run plain C.",
            "Name a C variant with --variant; `edgecnn export --format c` makes one.",
        )
    facts = shelves.load_file(_shelf() / "facts.py").read_facts(files[".json"])
    sources = _shelf() / "boards"
    gcc = _Compiler(variant, board, tools, folder)
    gcc.compile(files[".c"], "net.o", FLAGS)
    gcc.compile(sources / "start.c", "start.o", _OWN_FLAGS)
    gcc.compile(sources / "run.c", "run.o", [*_OWN_FLAGS, *_defines(facts, files)])
    gcc.link(sources)
    sizes = _sizes(tools, folder / "net.elf", facts.arena_bytes)
    return Image(folder / "net.elf", sizes, facts.input, facts.outputs)


@dataclass(frozen=True)
class _Compiler:
    variant: Variant
    board: Board
    tools: Tools
    folder: Path

    def compile(self, source: Path, made: str, flags: Any) -> None:
        done = self._call([*flags, "-c", str(source), "-o", made])
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "error" in line]
            reason = (lines or done.stderr.splitlines() or ["it says nothing"])[0].strip()
            raise ModelError(
                f"arm-none-eabi-gcc does not compile '{self.variant.name}' for {self.board.name}: "
                f"{reason}.",
                "Make it anew with `edgecnn export --format c`.",
            )

    def link(self, sources: Path) -> None:
        script = sources / f"{self.board.name}.ld"
        given = [*_LINK_FLAGS, "-L", str(sources), "-T", str(script)]
        done = self._call([*given, "start.o", "run.o", "net.o", "-o", "net.elf"])
        if done.returncode:
            raise self._refusal(done.stderr, script.read_text())

    def _call(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.tools.compiler, *self.board.flags, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )

    def _refusal(self, said: str, script: str) -> ModelError:
        over = [(name, int(count)) for name, count in _OVERFLOW.findall(said)]
        if not over:
            lines = said.splitlines() or ["it says nothing"]
            return ModelError(
                f"'{self.variant.name}' cannot be linked for {self.board.name}: {lines[0]}.",
                "Make it anew with `edgecnn export --format c`.",
            )
        parts = []
        for name, beyond in over:
            length = memory_bytes(script, name)
            parts.append(f"{length + beyond:,} bytes of {_MEMORY[name]} of {length:,}")
        return DoesNotFitError(
            f"'{self.variant.name}' does not fit {self.board.name} ({self.board.machine}): it "
            f"needs {' and '.join(parts)}, with the image, the answer and the stack.",
            "Name a board with more memory"
            + (", or an int8 variant." if self.variant.precision == "fp32" else "."),
        )


def memory_bytes(script: str, name: str) -> int:
    """Read the size of a memory out of a linker script."""
    found = re.search(_LENGTH.format(name), script)
    assert found, name
    return int(found[1]) * _UNITS[found[2]]


def _shelf() -> Path:
    return shelves.shelf("runtimes") / "c"


def _defines(facts: Any, files: dict[str, Path]) -> list[str]:
    size = math.prod(facts.input.shape) * {"float32": 4, "uint8": 1}[facts.input.dtype]
    outputs = sum(math.prod(each.shape) for each in facts.outputs)
    words = ["-include", str(files[".h"]), f"-DNET_RUN={facts.prefix}_run"]
    words += [f"-DINPUT_BYTES={size}", f"-DOUTPUT_FLOATS={outputs}"]
    return words + ([f'-DWEIGHTS="{files[".bin"]}"'] if ".bin" in files else [])


def _sizes(tools: Tools, file: Path, arena: int) -> Sizes:
    said = subprocess.run([tools.size, "-A", str(file)], capture_output=True, text=True, check=True)
    rows = [line.split() for line in said.stdout.splitlines() if line.startswith(".")]
    sections = {row[0]: int(row[1]) for row in rows}
    return Sizes(
        code=sections.get(".text", 0) + sections.get(".ARM.exidx", 0),
        weights=sections.get(".rodata", 0) + sections.get(".weights", 0),
        data=sections.get(".data", 0),
        arena=arena,
        bss=sections.get(".bss", 0) - arena,
    )
