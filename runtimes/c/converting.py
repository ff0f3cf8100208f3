"""From ONNX to C files: edgecnn.codegen does it, with the kernels of this folder."""

from __future__ import annotations

import re
from pathlib import Path

from edgecnn.codegen import Generated, generate
from edgecnn.codegen.about import read_about
from edgecnn.codegen.needs import refuse_too_large
from edgecnn.codegen.vectors import read_vectors
from edgecnn.codegen.writing.numbers import identifier
from edgecnn.errors import InputError
from edgecnn.runtime import Converted, Options, TensorSpec, Variant
from edgecnn.units import size_bytes

from .facts import Facts, write_facts

KERNELS = Path(__file__).parent / "kernels"
_OPTIONS = ("prefix", "max-flash", "max-ram", "weights", "winograd")
_PREFIX = re.compile(r"[A-Za-z]\w{0,62}", re.ASCII)


def convert(source: Variant, folder: Path, *, name: str, options: Options) -> Converted:
    """Write an ONNX variant as C: a `.c` and a `.h` file, and what they need beside them.

    Args:
        source: The located variant.
        folder: An empty folder.
        name: What the files are called, without their endings.
        options: `prefix`: what the names of functions begin with; the bundle's name by default.
            `max-flash` and `max-ram`: how much there is of both, such as `256KiB`. `weights`:
            `auto` (default) puts them into a file of their own above 1 MB, `file` always.
            `winograd`: `on` (default), or `off` for less memory and more products.

    Raises:
        InputError: An option is unknown or has no such value.
        ModelError: The net has something that there is no kernel for, or cannot fit.
    """
    _refuse_unknown(options)
    prefix = _prefix(options, source.path.parent.name)
    winograd = _choice(options, "winograd", ("on", "off"))
    weights = _choice(options, "weights", ("auto", "file"))
    flash, ram = (_size(options, each) for each in ("max-flash", "max-ram"))
    made = generate(
        source.path.read_bytes(),
        where=source.path.name,
        name=name,
        prefix=prefix,
        kernels=KERNELS,
        vectors=read_vectors(source),
        winograd=winograd == "on",
        apart=weights == "file",
        about=read_about(source, name),
    )
    refuse_too_large(made.needs, f"'{name}'", source.precision, flash, ram)
    files = {f"{name}.c": made.source.encode(), f"{name}.h": made.header.encode()}
    if made.weights is not None:
        files[f"{name}.bin"] = made.weights
    for file, content in files.items():
        (folder / file).write_bytes(content)
    write_facts(_facts(made), folder / f"{name}.json")
    return Converted(
        (*files, f"{name}.json"),
        batch=1,
        preprocessing=source.preprocessing,
        settings={"prefix": made.prefix},
    )


def _refuse_unknown(options: Options) -> None:
    unknown = sorted(options.keys() - set(_OPTIONS))
    if unknown:
        raise InputError(
            f"C has no option '{unknown[0]}'; it has {', '.join(_OPTIONS)}.", "Leave it out."
        )


def _prefix(options: Options, bundle: str) -> str:
    given = options.get("prefix", bundle)
    if "prefix" in options and (_PREFIX.fullmatch(given) is None or identifier(given) != given):
        raise InputError(
            f"Functions in C cannot be called '{given}_run'.",
            "Use letters, digits and underscores, a letter first, and no word of C.",
        )
    return given


def _choice(options: Options, name: str, known: tuple[str, ...]) -> str:
    given = options.get(name, known[0])
    if given not in known:
        raise InputError(f"{name} cannot be '{given}'.", f"Use {' or '.join(known)}.")
    return given


def _size(options: Options, name: str) -> int | None:
    return size_bytes(options[name]) if name in options else None


def _facts(made: Generated) -> Facts:
    given = made.program.input
    shape = given.shape
    if given.picture:
        _, channels, height, width = shape
        shape = (1, height, width, channels)
    return Facts(
        made.prefix,
        TensorSpec(given.name, given.number, shape),
        tuple(TensorSpec(each.name, each.number, each.shape) for each in made.program.outputs),
        0 if made.weights is None else len(made.weights),
        made.arena_bytes,
    )
