"""The `.c` file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.codegen.kernels import Kernel, Kernels
from edgecnn.codegen.planning import Buffer, Plan
from edgecnn.codegen.program import NO_PADS, Layer, Program, Tensor
from edgecnn.codegen.writing.numbers import C_TYPES, array, identifier, literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MACROS = """\
#if defined(__GNUC__) || defined(__clang__)
#define ALIGNED __attribute__((aligned(64)))
#define APART static __attribute__((noinline))
#else
#define ALIGNED
#define APART static
#endif

/* Who measures layers may define this as what is to be done behind the one of that number. */
#ifndef EDGECNN_AFTER
#define EDGECNN_AFTER(number)
#endif
"""


@dataclass(frozen=True, eq=False)
class Writer:
    """A planned program on its way to text.

    Attributes:
        program: The net.
        plan: Where its tensors lie.
        kernels: The kernels.
        prefix: What the names of the program's functions begin with.
        blob: Where each layer's constants lie in a file of weights; None if they are in the text.
    """

    program: Program
    plan: Plan
    kernels: Kernels
    prefix: str
    blob: Mapping[Layer, tuple[int, ...]] | None = None


def source(writer: Writer, head: str, header: str) -> str:
    """Write the program as one C file.

    Args:
        writer: The planned program.
        head: The comment at the head of the file.
        header: Name of the header file.
    """
    layers = writer.program.layers
    used = list(dict.fromkeys([each.kernel for each in layers] + _borders(writer)))
    parts = [
        head,
        f'#include "{header}"\n',
        writer.kernels.text(used),
        _MACROS,
        *(_layer(writer, number, layer) for number, layer in enumerate(layers)),
        _run(writer),
    ]
    return "\n".join(parts)


def _borders(writer: Writer) -> list[str]:
    wanted = {each.tensor.suffix for each in writer.plan.buffers.values() if each.pads != NO_PADS}
    return [f"border_{suffix}" for suffix in sorted(wanted)]


def _layer(writer: Writer, number: int, layer: Layer) -> str:
    """Write a layer's constants, its numbers and its function."""
    kernel, name = writer.kernels.kernel(layer.kernel), _name(number, layer)
    tensors = len(layer.reads) + 1
    weights = kernel.parameters[tensors:]
    assert len(weights) == len(layer.constants), layer.kernel
    sizes = " and ".join(_size(read.tensor) for read in layer.reads)
    lines = [f"/* {layer.name}: {sizes} to {_size(layer.writes)} */"]
    words = []
    for place, (parameter, values) in enumerate(zip(weights, layer.constants, strict=True)):
        if writer.blob is None:
            lines.append(_constant(f"{name}_{parameter.name}", values))
            words.append(f"{name}_{parameter.name}")
        else:
            words.append(f"({parameter.kind})(const void *)(weights + {writer.blob[layer][place]})")
    lines += list(_struct(writer, kernel, layer, name))
    given = [each.name for each in kernel.parameters[:tensors]]
    declared = [
        f"{each.kind} {each.name}".replace("* ", "*") for each in kernel.parameters[:tensors]
    ]
    if writer.blob is not None:
        declared.insert(0, "const unsigned char *weights")
    call = ", ".join([*given, *words, f"&{name}"])
    unused = "    (void)weights;\n" if writer.blob is not None and not words else ""
    lines.append(f"APART void {name}_run({', '.join(declared)})")
    lines.append(f"{{\n{unused}    {layer.kernel}({call});\n}}\n")
    return "\n".join(lines)


def _constant(name: str, values: NDArray[Any]) -> str:
    kind = C_TYPES[values.dtype.name]
    return f"static const {kind} ALIGNED {name}[{values.size}] = {{\n{array(values)}\n}};"


def _struct(writer: Writer, kernel: Kernel, layer: Layer, name: str) -> Iterator[str]:
    known = _steps(writer, kernel, layer) | dict(layer.shape)
    yield f"static const struct {kernel.name} {name} = {{"
    for each in kernel.fields:
        yield f"    {literal(known.pop(each.name), each.kind)}, /* {each.name} */"
    yield "};"
    known = {key: value for key, value in known.items() if key in layer.shape}
    assert not known, f"{kernel.name} has no {', '.join(known)}"


def _steps(writer: Writer, kernel: Kernel, layer: Layer) -> dict[str, int]:
    """Give the steps through memory: from pixel to pixel, and from row to row."""
    tensors = [*(read.tensor for read in layer.reads), layer.writes]
    found: dict[str, int] = {}
    for parameter, tensor in zip(kernel.parameters, tensors, strict=False):
        buffer = writer.plan.buffers.get(tensor.memory)
        row = tensor.width * tensor.channels
        if buffer is not None and tensor.picture and buffer.pads != NO_PADS:
            row = buffer.row
        found |= {f"{parameter.name}_row": row, f"{parameter.name}_pixel": tensor.channels}
    return found


def _run(writer: Writer) -> str:
    """Write the functions that run all layers."""
    prefix, program = writer.prefix, writer.program
    blob = writer.blob is not None
    first = "const void *weights, " if blob else ""
    kind = C_TYPES[program.input.number]
    lines = [
        f"void {prefix}_run_in(void *arena, {first}const {kind} *input, float *outputs)",
        "{",
        "    unsigned char *const base = (unsigned char *)arena;",
    ]
    lines += ["    const unsigned char *const packed = (const unsigned char *)weights;"] * blob
    lines += ["    (void)base;"]
    for number, layer in enumerate(program.layers):
        lines += _border(writer, layer)
        words = ["packed"] * blob
        for read in layer.reads:
            buffer = writer.plan.buffers.get(read.tensor.memory)
            top, left, _, _ = read.pads
            back = 0 if buffer is None else top * buffer.row + left * read.tensor.channels
            words.append(_pointer(writer, read.tensor, back, const=True))
        words.append(_pointer(writer, layer.writes, 0, const=False))
        lines.append(f"    {_name(number, layer)}_run({', '.join(words)});")
        lines.append(f"    EDGECNN_AFTER({number})")
    again = ("weights, " if blob else "") + "input, outputs"
    return "\n".join(
        [
            *lines,
            "}",
            "",
            "#ifndef EDGECNN_NO_STATIC_ARENA",
            f"static unsigned char ALIGNED {prefix}_arena[{prefix.upper()}_ARENA_BYTES];",
            "",
            f"void {prefix}_run({first}const {kind} *input, float *outputs)",
            "{",
            f"    {prefix}_run_in({prefix}_arena, {again});",
            "}",
            "#endif",
            "",
        ]
    )


def _border(writer: Writer, layer: Layer) -> Iterator[str]:
    buffer = writer.plan.buffers.get(layer.writes)
    if buffer is None or buffer.pads == NO_PADS or layer.part:
        return
    tensor = layer.writes
    fill = next(
        read.fill
        for each in writer.program.layers
        for read in each.reads
        if read.tensor is tensor and read.pads != NO_PADS
    )
    numbers = [tensor.height, tensor.width * tensor.channels, buffer.row]
    numbers += [buffer.start, buffer.behind] + ([fill] if tensor.suffix == "u8" else [])
    kernel = f"border_{tensor.suffix}"
    shape = ", ".join(map(str, numbers))
    yield "    {"
    yield f"        static const struct {kernel} around = {{{shape}}};"
    yield f"        {kernel}({_pointer(writer, tensor, 0, const=False)}, &around);"
    yield "    }"


def _pointer(writer: Writer, tensor: Tensor, back: int, *, const: bool) -> str:
    memory, program = tensor.memory, writer.program
    if memory is program.input:
        return "input"
    if memory in program.outputs:
        before = program.outputs[: program.outputs.index(memory)]
        place = sum(each.size for each in before)
        return f"outputs + {place}" if place else "outputs"
    buffer = writer.plan.buffers[memory]
    kind = C_TYPES[memory.number]
    place = buffer.offset + (buffer.start - back) * np.dtype(memory.number).itemsize
    return f"({'const ' if const else ''}{kind} *)(void *)(base + {place})"


def _name(number: int, layer: Layer) -> str:
    return f"layer{number}_{identifier(layer.name)}"


def _size(tensor: Tensor) -> str:
    sizes = tensor.shape[1:] if len(tensor.shape) > 1 else tensor.shape
    if tensor.picture:
        sizes = (tensor.height, tensor.width, tensor.channels)
    return "x".join(map(str, sizes)) or "1"


def buffer_of(plan: Plan, tensor: Tensor) -> Buffer | None:
    """Give where a tensor lies; None of the caller's memory."""
    return plan.buffers.get(tensor.memory)
