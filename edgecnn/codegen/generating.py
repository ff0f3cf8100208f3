"""From an ONNX file to C files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgecnn.codegen.about import About
from edgecnn.codegen.ending import dequantize_last
from edgecnn.codegen.finite import refuse_not_finite
from edgecnn.codegen.fusing import fuse_pools
from edgecnn.codegen.kernels import Kernels
from edgecnn.codegen.lowering.driver import lower
from edgecnn.codegen.needs import Needs, needs
from edgecnn.codegen.planning import plan
from edgecnn.codegen.program import Program
from edgecnn.codegen.reading import read_graph
from edgecnn.codegen.separating import separate
from edgecnn.codegen.vectors import Vectors
from edgecnn.codegen.winograd import filter_minimally
from edgecnn.codegen.writing.c_file import file
from edgecnn.codegen.writing.h_file import header
from edgecnn.codegen.writing.head_comment import Origin
from edgecnn.codegen.writing.numbers import identifier
from edgecnn.codegen.writing.selftest import selftest, selftest_declaration
from edgecnn.codegen.writing.source import Writer
from edgecnn.codegen.writing.weights import place_weights
from edgecnn.records import sha256

# Above it compilers take minutes and gigabytes for weights as text.
MOST_TEXT_BYTES = 1 << 20


@dataclass(frozen=True)
class Generated:
    """A net as C.

    Attributes:
        header: The `.h` file.
        source: The `.c` file.
        weights: What the caller must load and hand over; None if it is in the `.c` file.
        prefix: What the names of its functions begin with.
        program: What was written.
        needs: What it needs of a device.
    """

    header: str
    source: str
    weights: bytes | None
    prefix: str
    program: Program
    needs: Needs

    @property
    def arena_bytes(self) -> int:
        """Memory for activations."""
        return self.needs.arena


def generate(
    content: bytes,
    *,
    where: str,
    name: str,
    prefix: str,
    kernels: Path,
    vectors: Vectors | None = None,
    winograd: bool = True,
    about: About | None = None,
    apart: bool = False,
) -> Generated:
    """Generate C from an ONNX file; the same arguments give the same bytes.

    Args:
        content: The file.
        where: What it is called in messages.
        name: What the C files are called, without their endings.
        prefix: What the names of functions begin with.
        kernels: The folder of C kernels.
        vectors: Golden images for the self-test; without them there is none.
        winograd: Save products where that takes more memory (`edgecnn.codegen.winograd`).
        about: What is known of the net in its bundle, for the comments and the labels.
        apart: Put weights into a file of their own even where they are few.

    Raises:
        ModelError: C cannot be made of it; nothing was written.
    """
    program = lower(read_graph(content, where))
    if winograd:
        program = filter_minimally(program)
    refuse_not_finite(program)
    program = dequantize_last(separate(fuse_pools(program)))
    placed = plan(program)
    places, weights = place_weights(program, 0 if apart else MOST_TEXT_BYTES)
    found = needs(program, placed, weights)
    writer = Writer(program, placed, Kernels(kernels), identifier(prefix), places)
    origin = Origin(where, sha256(content), name, about, found)
    tested = vectors is not None
    return Generated(
        header=header(writer, origin, weights, selftest_declaration(writer) if tested else ""),
        source=file(writer, origin, selftest(writer, vectors) if vectors is not None else ""),
        weights=weights,
        prefix=writer.prefix,
        program=program,
        needs=found,
    )
