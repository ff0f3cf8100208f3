"""The `.h` file: what a caller needs to know, and the functions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from edgecnn.codegen.about import About
from edgecnn.codegen.planning import ALIGNMENT
from edgecnn.codegen.writing.head_comment import Origin, manual, scores
from edgecnn.codegen.writing.numbers import identifier, literal
from edgecnn.codegen.writing.running import Ending, endings, parameter, parameters
from edgecnn.codegen.writing.source import Writer
from edgecnn.codegen.writing.weights import check_value

_FILE = """\
{comment}#ifndef {great}_H
#define {great}_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

{macros}

{functions}
{more}
#ifdef __cplusplus
}}
#endif
#endif
"""
_RUN = """\
#ifndef EDGECNN_NO_STATIC_ARENA
/* Answer one image. Activations lie in a static arena: not for two callers at once. */
void {prefix}_run({static});
#endif

/* The same in the caller's arena, {great}_ARENA_BYTES bytes aligned to {great}_ALIGNMENT: any
 * number of callers at once, each with an arena of its own. It may hold anything before and holds
 * nothing of use afterwards; {given} and outputs must not lie in it. */
void {prefix}_run_in({reentrant});
"""
_QUANTIZED = """\

/* The same without the DequantizeLinear at the end: bytes, which mean (byte - ZERO_POINT) * SCALE;
 * the largest byte of an output stands where its largest float does. int8 of ONNX has 128 added. */
#ifndef EDGECNN_NO_STATIC_ARENA
void {prefix}_run_quantized({static});
#endif
void {prefix}_run_quantized_in({reentrant});
"""
_NOT_QUANTIZED = """\

/* There is no {prefix}_run_quantized: not every output comes of a DequantizeLinear at the end. */
"""
_CHECK = """\

/* 0 if these are the weights of this net, 1 if they are not aligned to {great}_ALIGNMENT, 2 if they
 * are other bytes. */
int {prefix}_check_weights(const void *weights);
"""
_LABELS = """\

#ifdef EDGECNN_LABELS
/* The classes' names, in UTF-8, in the order of the outputs from {great}_SCORES on. */
extern const char *const {prefix}_labels[{great}_CLASSES];
#endif
"""


def header(writer: Writer, origin: Origin, weights: bytes | None, more: str = "") -> str:
    """Write the header.

    Args:
        writer: The planned program.
        origin: Where the net comes from.
        weights: The file of weights; None if they are in the `.c` file.
        more: Declarations to stand last.
    """
    return _FILE.format(
        comment=manual(writer, origin, None if weights is None else len(weights)),
        great=writer.prefix.upper(),
        macros="\n".join(_macros(writer, origin.about, weights)),
        functions=_functions(writer, origin.about, weights).rstrip("\n"),
        more=more,
    )


def _macros(writer: Writer, about: About | None, weights: bytes | None) -> Iterator[str]:
    outputs = writer.program.outputs
    values: dict[str, object] = {
        "INPUT_SIZE": writer.program.input.size,
        "OUTPUT_SIZE": sum(each.size for each in outputs),
        "ARENA_BYTES": writer.plan.bytes,
        "ALIGNMENT": ALIGNMENT,
    }
    if weights is not None:
        values |= {"WEIGHTS_BYTES": len(weights), "WEIGHTS_CHECK": check_value(weights)}
    places = dict(
        zip(outputs, accumulate((each.size for each in outputs), initial=0), strict=False)
    )
    for stem, output in zip(_stems(writer), outputs, strict=True):
        if len(outputs) > 1:
            values |= {f"{stem}_OFFSET": places[output], f"{stem}_SIZE": output.size}
    for stem, each in zip(_stems(writer), endings(writer), strict=False):
        values |= _scale(stem, each)
    if about and about.contract.labels:
        values |= {"CLASSES": len(about.contract.labels), "SCORES": places[scores(writer, about)]}
    for name, value in values.items():
        yield f"#define {writer.prefix.upper()}_{name} {value}"


def _scale(stem: str, each: Ending) -> dict[str, object]:
    return {f"{stem}_SCALE": literal(each.scale, "float"), f"{stem}_ZERO_POINT": each.zero}


def _stems(writer: Writer) -> list[str]:
    """Give what each output's macros begin with, each another."""
    outputs = writer.program.outputs
    if len(outputs) == 1:
        return ["OUTPUT"]
    stems: list[str] = []
    for number, output in enumerate(outputs):
        stem = f"OUTPUT_{identifier(output.name).upper()}"
        stems.append(f"{stem}_{number}" if stem in stems else stem)
    return stems


def _functions(writer: Writer, about: About | None, weights: bytes | None) -> str:
    words = {
        "prefix": writer.prefix,
        "great": writer.prefix.upper(),
        "given": parameter(writer),
    }
    floats = _both(writer, "float")
    texts = [_RUN.format(**words, **floats)]
    if endings(writer):
        texts.append(_QUANTIZED.format(**words, **_both(writer, "uint8_t")))
    else:
        texts.append(_NOT_QUANTIZED.format(**words))
    if weights is not None:
        texts.append(_CHECK.format(**words))
    if about and about.contract.labels:
        texts.append(_LABELS.format(**words))
    return "".join(texts)


def _both(writer: Writer, kind: str) -> dict[str, str]:
    return {
        "static": parameters(writer, arena=False, kind=kind),
        "reentrant": parameters(writer, arena=True, kind=kind),
    }
