"""The comment at the head of both files: what this is, how it is compiled, and what it needs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edgecnn import __version__
from edgecnn.codegen.about import About
from edgecnn.codegen.needs import Needs
from edgecnn.codegen.program import Tensor
from edgecnn.codegen.writing.numbers import C_TYPES, comment
from edgecnn.codegen.writing.running import parameter
from edgecnn.codegen.writing.source import Writer

_WIDTH, _MOST_LABELS = 96, 40
_COLORS = {
    "": "channels, 0 to 255, as they come from a decoder",
    "rgb": "channels (red, green, blue), 0 to 255, as they come from a decoder",
    "bgr": "channels (blue, green, red), 0 to 255, as OpenCV has them",
    "gray": "one channel (grey), 0 to 255, as they come from a decoder",
}
_RESIZES = {"stretch": "stretched", "letterbox": "letterboxed"}


@dataclass(frozen=True)
class Origin:
    """Where a net comes from, and what it is there.

    Attributes:
        file: What its ONNX file is called.
        sha256: The file's digest.
        name: What the C files are called, without their endings.
        about: What is known of it in its bundle; None of a plain file.
        needs: What it needs of a device.
    """

    file: str
    sha256: str
    name: str
    about: About | None
    needs: Needs


def title(writer: Writer, origin: Origin) -> str:
    """Say what a net is, and of what it was made, as the first lines of a comment."""
    about, given = origin.about, writer.program.input
    height, width, _ = _pixels(writer, origin)
    size = f"{height}x{width} pixels" if height else f"{given.size:,} floats"
    named = f"{about.net} as plain C, {about.precision}" if about else "A net as plain C"
    lines = _wrapped(f"{named}: {size} in, {_count(writer, origin)} out.")
    lines += ["", *_wrapped(f"Made by edgecnn {__version__} of {origin.file}")]
    if about:
        lines[-1] += comment(f", the variant '{about.source}' of the bundle '{about.net}'")
    return _starred([*lines, f"(sha256 {origin.sha256})."])


def manual(writer: Writer, origin: Origin, weights: int | None) -> str:
    """Say what goes in and comes out, how to compile it, and what it needs; a whole comment.

    Args:
        writer: The planned program.
        origin: Where the net comes from.
        weights: Size of the file of weights; None if they are in the `.c` file.
    """
    parts = [
        _entry("In", _input(writer, origin)),
        _entry("Out", _outputs(writer, origin)),
        _compiling(origin.name),
        _needing(writer, origin.needs, weights),
        *([_flashing(writer, origin.name)] if weights is not None else []),
        _macros(writer, origin),
    ]
    return f"/* {title(writer, origin)[3:]}\n *\n{_starred(_joined(parts))}\n */\n"


def _pixels(writer: Writer, origin: Origin) -> tuple[int, int, int]:
    """Give height, width and channels of the pixels that go in; zeros where none do."""
    given, about = writer.program.input, origin.about
    if given.picture:
        return given.height, given.width, given.channels
    return about.contract.pixel_shape if about and about.pixels else (0, 0, 0)


def _count(writer: Writer, origin: Origin) -> str:
    if origin.about and origin.about.contract.labels:
        return f"{len(origin.about.contract.labels):,} classes"
    sizes = " and ".join(f"{each.size:,}" for each in writer.program.outputs)
    return f"{sizes} floats"


def _input(writer: Writer, origin: Origin) -> str:
    given, about = writer.program.input, origin.about
    kind = C_TYPES[given.number]
    height, width, channels = _pixels(writer, origin)
    if height:
        color = about.contract.color if about else ""
        text = (
            f"{kind} [{height}][{width}][{channels}]: rows, columns, {_COLORS[color]}. "
            "Normalisation is inside."
        )
        return text + (f" {_resizing(about)}" if about else "")
    shape = "".join(f"[{size}]" for size in given.shape[1:]) or "[1]"
    text = f"{kind} {shape}, as '{given.name}' in ONNX, without the batch."
    if about:
        contract = about.contract
        text += (
            f" Pixels are normalised by the caller: (pixel * {contract.scale:.9g} - mean) / std, "
            f"mean {_numbers(contract.mean)}, std {_numbers(contract.std)}."
        )
    return text


def _resizing(about: About) -> str:
    contract = about.contract
    how = _RESIZES.get(contract.resize)
    if how is None:
        side = contract.resize.removeprefix("crop ")
        how = f"made {side} pixels on its shorter side and cut out of the middle"
    return f"A picture of another size is first {how} (filter: {contract.filter})."


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.9g}" for value in values)


def _outputs(writer: Writer, origin: Origin) -> str:
    outputs = writer.program.outputs
    total = sum(each.size for each in outputs)
    parts = [f"'{each.name}' {'x'.join(map(str, each.shape[1:])) or 1}" for each in outputs]
    text = f"float [{total}]: {' and then '.join(parts)}"
    about = origin.about
    if about is None or not about.contract.labels:
        return f"{text}, as in ONNX, without the batch."
    labels = about.contract.labels
    kind = "scores" if about.contract.output_kind == "other" else about.contract.output_kind
    named = (
        f"; those of '{scores(writer, about).name}' are {kind}" if len(outputs) > 1 else f", {kind}"
    )
    text += f"{named}, and the largest says which class it is:"
    if len(labels) > _MOST_LABELS:
        return f"{text} {labels[0]}, {labels[1]}, … {labels[-1]} ({len(labels):,} classes)."
    return f"{text} {', '.join(labels)}."


def scores(writer: Writer, about: About) -> Tensor:
    """Give the output with the classes' scores: the one that the contract names, or the first."""
    outputs = writer.program.outputs
    return next((each for each in outputs if each.name == about.contract.output), outputs[0])


def _compiling(name: str) -> list[str]:
    return [
        "Compile it as C99 or later, or as C++17 or later; each line chooses the kernels itself:",
        f"    cc -O3 -march=native -c {name}.c          for the machine that compiles it",
        "    arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 \\",
        f"        -O2 -ffunction-sections -fdata-sections -c {name}.c             for a Cortex-M4",
        f"    arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb -O2 … -c {name}.c  for one without floats",
        *_wrapped(
            "-ffast-math, -Ofast and what is like them are refused: the answers would not be those "
            "that were checked. Link nothing more; of libc it takes memcpy and memset alone."
        ),
    ]


def _needing(writer: Writer, found: Needs, weights: int | None) -> list[str]:
    where = "in a file of their own" if weights is not None else "in the .c file"
    kind = parameter(writer)
    return [
        "It needs, in bytes",
        f"    flash {found.constants:11,}  weights and tables, {where}",
        f"    {found.code:17,}  code: estimated for a Cortex-M4 at -O2; up to 3 times on an M0",
        f"    RAM   {found.arena:11,}  activations: the arena, static or the caller's",
        f"    {found.input + found.outputs:17,}  {kind} and outputs, the caller's",
        f"    stack {found.stack:11,}  estimated for a Cortex-M4",
    ]


def _flashing(writer: Writer, name: str) -> list[str]:
    prefix = writer.prefix
    return [
        *_wrapped(
            f"The weights are {name}.bin, which the caller loads or links, aligned to "
            f"{prefix.upper()}_ALIGNMENT bytes, and hands over as a pointer. "
            f"{prefix}_check_weights says whether they are the right ones. Into flash they come "
            "with an assembler file:"
        ),
        "    .section .rodata",
        "    .balign 64",
        f"    .global {prefix}_weights",
        f'    {prefix}_weights: .incbin "{name}.bin"',
        f"and in C: extern const unsigned char {prefix}_weights[];",
        "or with objcopy, which calls them _binary_…_start:",
        "    arm-none-eabi-objcopy -I binary -O elf32-littlearm -B arm --set-section-alignment \\",
        "        .data=64 --rename-section .data=.rodata,alloc,load,readonly,data,contents \\",
        f"        {name}.bin {name}_weights.o",
    ]


def _macros(writer: Writer, origin: Origin) -> list[str]:
    prefix = writer.prefix
    lines = [
        "Define for both files, where wanted:",
        f"    EDGECNN_NO_STATIC_ARENA   leaves {prefix}_run and its arena out",
    ]
    if origin.about and origin.about.contract.labels:
        lines.append(f"    EDGECNN_LABELS            adds the classes' names, {prefix}_labels")
    if origin.about:
        lines.append(f"    EDGECNN_SELFTEST          adds {prefix}_selftest and its golden images")
    return [
        *lines,
        "    EDGECNN_NO_SIMD           takes plain C, whatever the CPU has",
        "    EDGECNN_NO_FLOATS         scales with whole numbers, as cores without floats do",
    ]


def _entry(name: str, text: str) -> list[str]:
    first, *others = textwrap.wrap(comment(text), _WIDTH - 6)
    return [f"{name + ':':<5} {first}", *(f"      {line}" for line in others)]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(comment(text), _WIDTH)


def _joined(parts: list[list[str]]) -> Iterator[str]:
    for number, part in enumerate(parts):
        if number:
            yield ""
        yield from part


def _starred(lines: Iterable[str]) -> str:
    return "\n".join(f" * {comment(line)}".rstrip() for line in lines)
