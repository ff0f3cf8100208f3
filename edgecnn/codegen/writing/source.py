"""The body of the `.c` file: kernels and layers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecnn.codegen.kernels import Kernel, Kernels
from edgecnn.codegen.needs import constant_bytes
from edgecnn.codegen.planning import Plan
from edgecnn.codegen.program import NO_PADS, Layer, Program, Tensor
from edgecnn.codegen.writing.numbers import C_TYPES, array, comment, literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTH = 94
_MACROS = """\
/* Memory for vectors, and layers that stay functions of their own: a profiler tells them apart. */
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

/* A place in the arena, for floats. */
#define AS_FLOATS(place) ((float *)(void *)(place))
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


def layers(writer: Writer) -> str:
    """Write the kernels, and each layer's constants, its numbers and its function."""
    every = writer.program.layers
    used = list(dict.fromkeys([each.kernel for each in every] + _borders(writer)))
    texts = [_layer(writer, number, layer) for number, layer in enumerate(every)]
    return "\n".join([writer.kernels.text(used), _MACROS, *texts])


def _borders(writer: Writer) -> list[str]:
    wanted = {each.tensor.suffix for each in writer.plan.buffers.values() if each.pads != NO_PADS}
    return [f"border_{suffix}" for suffix in sorted(wanted)]


def _layer(writer: Writer, number: int, layer: Layer) -> str:
    kernel, name = writer.kernels.kernel(layer.kernel), f"layer{number}"
    tensors = len(layer.reads) + 1
    weights = kernel.parameters[tensors:]
    assert len(weights) == len(layer.constants), layer.kernel
    lines = [_title(number, layer)]
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
    lines.append(f"APART void {function_name(number, layer)}({', '.join(declared)})")
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


def function_name(number: int, layer: Layer) -> str:
    """Say what the function of a layer is called."""
    return f"layer{number}_{layer.kernel}"


def _title(number: int, layer: Layer) -> str:
    sizes = " and ".join(_size(read.tensor) for read in layer.reads) or "nothing"
    parts = [f"{sizes} to {_size(layer.writes)}"]
    if layer.macs:
        parts.append(f"{layer.macs:,} multiply-accumulates")
    if layer.constants:
        parts.append(f"{constant_bytes(layer):,} bytes of weights")
    text = f"Layer {number}, {comment(layer.name)}: {', '.join(parts)}."
    return "/* " + "\n * ".join(textwrap.wrap(text, _WIDTH)) + " */"


def _size(tensor: Tensor) -> str:
    sizes = tensor.shape[1:] if len(tensor.shape) > 1 else tensor.shape
    if tensor.picture:
        sizes = (tensor.height, tensor.width, tensor.channels)
    return "x".join(map(str, sizes)) or "1"
