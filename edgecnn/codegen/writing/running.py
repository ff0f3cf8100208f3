"""The functions that a caller calls: they run every layer in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgecnn.codegen.ending import DEQUANTIZE
from edgecnn.codegen.planning import Buffer
from edgecnn.codegen.program import NO_PADS, Layer, Tensor
from edgecnn.codegen.writing.numbers import C_TYPES, comment
from edgecnn.codegen.writing.source import Writer, function_name

_TEXT = """\
{static}void {name}({parameters})
{{
{lines}
}}
"""
_STATIC = """\
#ifndef EDGECNN_NO_STATIC_ARENA
static unsigned char ALIGNED {prefix}_arena[{great}_ARENA_BYTES];

{functions}
#endif
"""


@dataclass(frozen=True)
class Ending:
    """A byte output, behind which nothing but a DequantizeLinear follows.

    Attributes:
        buffer: Where its bytes lie.
        scale: What a step of a byte means.
        zero: The byte that means 0.
    """

    buffer: Buffer
    scale: float
    zero: int


def parameter(writer: Writer) -> str:
    """Say what the input is called as a parameter."""
    return "pixels" if writer.program.input.number == "uint8" else "input"


def parameters(writer: Writer, *, arena: bool, kind: str = "float") -> str:
    """Write the parameters of a function that runs the net.

    Args:
        writer: The planned program.
        arena: It takes the caller's arena.
        kind: What its outputs are.
    """
    given = C_TYPES[writer.program.input.number]
    words = ["void *arena"] * arena + ["const void *weights"] * (writer.blob is not None)
    return ", ".join([*words, f"const {given} *{parameter(writer)}", f"{kind} *outputs"])


def endings(writer: Writer) -> tuple[Ending, ...]:
    """Give the bytes that outputs are made of at the end; none if any is made otherwise."""
    outputs = writer.program.outputs
    last = writer.program.layers[-len(outputs) :]
    made = {layer.writes: layer for layer in last if layer.kernel == DEQUANTIZE}
    found = []
    for output in outputs:
        layer = made.get(output)
        buffer = None if layer is None else writer.plan.buffers.get(layer.reads[0].tensor.memory)
        if layer is None or buffer is None or buffer.pads != NO_PADS:
            return ()
        found.append(Ending(buffer, float(layer.shape["scale"]), int(layer.shape["zero"])))
    return tuple(found)


def running(writer: Writer) -> str:
    """Write `NAME_run_in` and `NAME_run`, and their forms with bytes where there are any."""
    found = endings(writer)
    count = len(writer.program.layers)
    cut = count - len(found)
    shared = list(_layers(writer, 0, cut))
    texts = [_arena(writer)]
    if found:
        name = f"{writer.prefix}_layers"
        texts += [_shared(writer, name, shared)]
        texts.append(_run_in(writer, [_call(writer, name), *_layers(writer, cut, count)]))
        texts.append(_run_in(writer, [_call(writer, name), *_copies(writer, found)], "uint8_t"))
    else:
        texts.append(_run_in(writer, shared))
    return "\n".join([*texts, _static(writer, found)])


def _arena(writer: Writer) -> str:
    """Write a map of the arena: what lies where, and from which layer to which."""
    buffers = sorted(writer.plan.buffers.values(), key=lambda each: (each.first, each.offset))
    rows = [
        f" * {each.offset:8} {each.bytes:9}  {f'{each.first} to {each.last}':10}  "
        f"{comment(each.tensor.name)[:60]}\n"
        for each in buffers
    ]
    head = f" * {'from':>8} {'bytes':>9}  {'layers':10}  what\n"
    return f"/* The arena, {writer.plan.bytes} bytes:\n{head}{''.join(rows)} */\n"


def _run_in(writer: Writer, lines: list[str], kind: str = "float") -> str:
    first = ["unsigned char *const base = (unsigned char *)arena;"]
    if writer.blob is not None:
        first.append("const unsigned char *const packed = (const unsigned char *)weights;")
    if not any("base" in line for line in lines):
        first.append("(void)base;")
    return _TEXT.format(
        static="",
        name=f"{writer.prefix}_run{_middle(kind)}_in",
        parameters=parameters(writer, arena=True, kind=kind),
        lines=_indented([*first, "", *lines]),
    )


def _shared(writer: Writer, name: str, lines: list[str]) -> str:
    words = ["unsigned char *base"]
    words += ["const unsigned char *packed"] * (writer.blob is not None)
    words.append(f"const {C_TYPES[writer.program.input.number]} *{parameter(writer)}")
    return _TEXT.format(
        static="static ", name=name, parameters=", ".join(words), lines=_indented(lines)
    )


def _call(writer: Writer, name: str) -> str:
    packed = "packed, " if writer.blob is not None else ""
    return f"{name}(base, {packed}{parameter(writer)});"


def _copies(writer: Writer, found: tuple[Ending, ...]) -> Iterator[str]:
    place = 0
    for output, each in zip(writer.program.outputs, found, strict=True):
        target = f"outputs + {place}" if place else "outputs"
        yield f"memcpy({target}, base + {each.buffer.offset}, {output.size});"
        place += output.size


def _static(writer: Writer, found: tuple[Ending, ...]) -> str:
    functions = []
    for kind in ["float"] + ["uint8_t"] * bool(found):
        name = f"{writer.prefix}_run{_middle(kind)}"
        given = "weights, " if writer.blob is not None else ""
        call = f"{name}_in({writer.prefix}_arena, {given}{parameter(writer)}, outputs);"
        functions.append(
            _TEXT.format(
                static="",
                name=name,
                parameters=parameters(writer, arena=False, kind=kind),
                lines=_indented([call]),
            )
        )
    return _STATIC.format(
        prefix=writer.prefix,
        great=writer.prefix.upper(),
        functions="\n".join(functions).rstrip("\n"),
    )


def _middle(kind: str) -> str:
    return "" if kind == "float" else "_quantized"


def _indented(lines: list[str]) -> str:
    return "\n".join(f"    {line}".rstrip() for line in lines)


def _layers(writer: Writer, first: int, end: int) -> Iterator[str]:
    """Write the calls of some layers."""
    for number, layer in list(enumerate(writer.program.layers))[first:end]:
        yield from _border(writer, layer)
        words = ["packed"] * (writer.blob is not None)
        for read in layer.reads:
            buffer = writer.plan.buffers.get(read.tensor.memory)
            top, left, _, _ = read.pads
            back = 0 if buffer is None else top * buffer.row + left * read.tensor.channels
            words.append(_pointer(writer, read.tensor, back))
        words.append(_pointer(writer, layer.writes, 0))
        yield f"{function_name(number, layer)}({', '.join(words)});"
        yield f"EDGECNN_AFTER({number})"


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
    yield "{"
    yield f"    static const struct {kernel} around = {{{shape}}};"
    yield f"    {kernel}({_pointer(writer, tensor, 0)}, &around);"
    yield "}"


def _pointer(writer: Writer, tensor: Tensor, back: int) -> str:
    memory, program = tensor.memory, writer.program
    if memory is program.input:
        return parameter(writer)
    if memory in program.outputs:
        before = program.outputs[: program.outputs.index(memory)]
        place = sum(each.size for each in before)
        return f"outputs + {place}" if place else "outputs"
    buffer = writer.plan.buffers[memory]
    if memory.number == "uint8":
        return f"base + {buffer.offset + buffer.start - back}"
    return f"AS_FLOATS(base + {buffer.offset + 4 * (buffer.start - back)})"
