"""From ONNX to C files: edgecnn.codegen does it, with the kernels of this folder."""

from __future__ import annotations

import re
from pathlib import Path

from edgecnn.codegen import Generated, generate
from edgecnn.codegen.vectors import read_vectors
from edgecnn.errors import InputError
from edgecnn.runtime import Converted, Options, TensorSpec, Variant

from .facts import Facts, write_facts

KERNELS = Path(__file__).parent / "kernels"
_PREFIX = re.compile(r"[A-Za-z]\w{0,62}", re.ASCII)


def convert(source: Variant, folder: Path, *, name: str, options: Options) -> Converted:
    """Write an ONNX variant as C: a `.c` and a `.h` file, and what they need beside them.

    Args:
        source: The located variant.
        folder: An empty folder.
        name: What the files are called, without their endings.
        options: `prefix`: what the names of functions begin with; the bundle's name by default.

    Raises:
        InputError: An option is unknown, or no name that C takes.
        ModelError: The net has something that there is no kernel for.
    """
    prefix = _prefix(options, source.path.parent.name)
    made = generate(
        source.path.read_bytes(),
        where=source.path.name,
        name=name,
        prefix=prefix,
        kernels=KERNELS,
        vectors=read_vectors(source),
    )
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


def _prefix(options: Options, bundle: str) -> str:
    unknown = sorted(options.keys() - {"prefix"})
    if unknown:
        raise InputError(f"C has no option '{unknown[0]}'; it has prefix.", "Leave it out.")
    given = options.get("prefix", bundle)
    if "prefix" in options and _PREFIX.fullmatch(given) is None:
        raise InputError(
            f"Functions in C cannot be called '{given}_run'.",
            "Use letters, digits and underscores, a letter first.",
        )
    return given


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
