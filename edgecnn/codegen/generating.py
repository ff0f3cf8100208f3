"""From an ONNX file to C files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.codegen.kernels import Kernels
from edgecnn.codegen.lowering.driver import lower
from edgecnn.codegen.planning import plan
from edgecnn.codegen.program import Layer, Program
from edgecnn.codegen.reading import read_graph
from edgecnn.codegen.separating import separate
from edgecnn.codegen.vectors import Vectors
from edgecnn.codegen.winograd import filter_minimally
from edgecnn.codegen.writing.header import header
from edgecnn.codegen.writing.numbers import identifier
from edgecnn.codegen.writing.selftest import selftest, selftest_declaration
from edgecnn.codegen.writing.source import Writer, source

# Above it compilers take minutes and gigabytes for weights as text.
MOST_TEXT_BYTES = 1 << 20
_ALIGNMENT = 64


@dataclass(frozen=True)
class Generated:
    """A net as C.

    Attributes:
        header: The `.h` file.
        source: The `.c` file.
        weights: What the caller must load and hand over; None if it is in the `.c` file.
        prefix: What the names of its functions begin with.
        program: What was written.
        arena_bytes: Memory for activations.
    """

    header: str
    source: str
    weights: bytes | None
    prefix: str
    program: Program
    arena_bytes: int


def generate(
    content: bytes,
    *,
    where: str,
    name: str,
    prefix: str,
    kernels: Path,
    vectors: Vectors | None = None,
    winograd: bool = True,
) -> Generated:
    """Generate C from an ONNX file.

    Args:
        content: The file.
        where: What it is called in messages.
        name: What the C files are called, without their endings.
        prefix: What the names of functions begin with.
        kernels: The folder of C kernels.
        vectors: Golden images for the self-test; without them there is none.
        winograd: Save products where that takes more memory (`edgecnn.codegen.winograd`).

    Raises:
        ModelError: C cannot be made of it; nothing was written.
    """
    program = lower(read_graph(content, where))
    program = separate(filter_minimally(program) if winograd else program)
    placed = plan(program)
    prefix = identifier(prefix)
    blob, content_of_blob = _blob(program)
    writer = Writer(program, placed, Kernels(kernels), prefix, blob)
    return Generated(
        header=header(
            writer, content_of_blob, "" if vectors is None else selftest_declaration(writer)
        ),
        source=source(writer, f"/* Made by edgecnn of {where}. */\n", f"{name}.h")
        + ("" if vectors is None else "\n" + selftest(writer, vectors)),
        weights=content_of_blob,
        prefix=prefix,
        program=program,
        arena_bytes=placed.bytes,
    )


def _blob(program: Program) -> tuple[dict[Layer, tuple[int, ...]] | None, bytes | None]:
    every = [values for layer in program.layers for values in layer.constants]
    if sum(values.nbytes for values in every) <= MOST_TEXT_BYTES:
        return None, None
    places: dict[Layer, tuple[int, ...]] = {}
    content = bytearray()
    for layer in program.layers:
        found = []
        for values in layer.constants:
            found.append(len(content))
            content += _little(values)
            content += bytes(-len(content) % _ALIGNMENT)
        places[layer] = tuple(found)
    return places, bytes(content)


def _little(values: Any) -> bytes:
    return np.asarray(values, values.dtype.newbyteorder("<")).tobytes()
