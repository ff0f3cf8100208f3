"""The `.h` file."""

from __future__ import annotations

from edgecnn.codegen.writing.numbers import C_TYPES
from edgecnn.codegen.writing.source import Writer


def header(writer: Writer, weights: bytes | None, more: str = "") -> str:
    """Write the header: what a caller needs to know, and the functions; `more` stands last."""
    prefix, program = writer.prefix, writer.program
    great, kind = prefix.upper(), C_TYPES[program.input.number]
    first = "const void *weights, " if weights is not None else ""
    size = f"#define {great}_WEIGHTS_BYTES {len(weights)}\n" if weights is not None else ""
    return f"""\
#ifndef {great}_H
#define {great}_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define {great}_INPUT_SIZE {program.input.size}
#define {great}_OUTPUT_SIZE {sum(each.size for each in program.outputs)}
#define {great}_ARENA_BYTES {writer.plan.bytes}
{size}
void {prefix}_run({first}const {kind} *input, float *outputs);
void {prefix}_run_in(void *arena, {first}const {kind} *input, float *outputs);
{more}
#ifdef __cplusplus
}}
#endif
#endif
"""
