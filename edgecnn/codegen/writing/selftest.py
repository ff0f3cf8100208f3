"""The golden self-test, under `#ifdef EDGECNN_SELFTEST`: a net proves itself where it is run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.codegen.vectors import Vectors
from edgecnn.codegen.writing.numbers import C_TYPES, array, literal
from edgecnn.codegen.writing.source import Writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEAR = """\
static int {prefix}_near(const float *found, const float *expected, int size, float allowed)
{{
    for (int i = 0; i < size; i++) {{
        const float difference = found[i] - expected[i];
        if (!(difference <= allowed && -difference <= allowed))
            return 0;
    }}
    return 1;
}}
"""
_TEST = """\
int {prefix}_selftest({given})
{{
    static float found[{size}];
    for (int image = 0; image < {images}; image++) {{
        const float *const expected = {prefix}_answers + image * {size};
        {prefix}_run({first}{prefix}_images + image * {step}, found);
        if ({wrong})
            return image + 1;
    }}
    return 0;
}}
"""
_NEEDS_ARENA = """\
#ifdef EDGECNN_NO_STATIC_ARENA
#error "The self-test needs the static arena: leave EDGECNN_NO_STATIC_ARENA out."
#endif
"""


def selftest(writer: Writer, vectors: Vectors) -> str:
    """Write the images, the answers, and the function that holds the net to them.

    Args:
        writer: The planned program.
        vectors: Golden images of its bundle.
    """
    prefix = writer.prefix
    inputs = np.ascontiguousarray(vectors.inputs)
    answers = _answers(writer, vectors)
    values = {
        "prefix": prefix,
        "given": _given(writer),
        "first": "" if writer.blob is None else "weights, ",
        "size": answers.shape[1],
        "images": len(inputs),
        "step": inputs[0].size,
        "wrong": "\n            || ".join(_wrong(writer, vectors)),
    }
    return "\n".join(
        [
            "#ifdef EDGECNN_SELFTEST",
            _NEEDS_ARENA,
            "/* Golden images of the bundle, and what must be answered to them. */",
            _constant(f"{prefix}_images", inputs),
            _constant(f"{prefix}_answers", answers),
            "",
            _NEAR.format(**values),
            _TEST.format(**values) + "#endif",
            "",
        ]
    )


def selftest_declaration(writer: Writer) -> str:
    """Write the function's declaration, for the header."""
    return (
        "\n#ifdef EDGECNN_SELFTEST\n"
        "/* 0 if every golden image is answered as it must be, else the number (from 1) of the\n"
        " * first one that is not. */\n"
        f"int {writer.prefix}_selftest({_given(writer)});\n"
        "#endif\n"
    )


def _given(writer: Writer) -> str:
    return "void" if writer.blob is None else "const void *weights"


def _answers(writer: Writer, vectors: Vectors) -> NDArray[Any]:
    """Give float32 [N, OUTPUT_SIZE]: an image's outputs behind one another."""
    count = len(vectors.inputs)
    every = [vectors.outputs[each.name].reshape(count, -1) for each in writer.program.outputs]
    return np.concatenate(every, axis=1).astype(np.float32)


def _wrong(writer: Writer, vectors: Vectors) -> Iterator[str]:
    place = 0
    for each in writer.program.outputs:
        allowed = literal(vectors.allowed[each.name], "float")
        at = f" + {place}" if place else ""
        yield f"!{writer.prefix}_near(found{at}, expected{at}, {each.size}, {allowed})"
        place += each.size


def _constant(name: str, values: NDArray[Any]) -> str:
    kind = C_TYPES[values.dtype.name]
    return f"static const {kind} {name}[{values.size}] = {{\n{array(values)}\n}};"
