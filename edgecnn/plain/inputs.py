"""What goes into a plain file: arrays that the user gives, or random ones that are called so."""

from __future__ import annotations

import math
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import InputError
from edgecnn.machine import granted_memory
from edgecnn.plain.files import PlainFile
from edgecnn.spec import TensorSpec

Arrays = dict[str, NDArray[Any]]
Shapes = Mapping[str, Sequence[int]]

RANDOM, NO_INPUTS = "random inputs", "no inputs"

# Enough to meet most of a small net; of large pictures fewer, for the reference runtime is slow.
MOST = 8
_PARITY_ELEMENTS = 1 << 19
_SHARE = 4  # of the memory, for what is read: it is copied into runs
# What stands for an open size in the command that a remedy shows.
_USUAL_SIZE = {4: 224}


@dataclass(frozen=True)
class Request:
    """What the user said of the inputs.

    Attributes:
        file: An npz file with an array for each input; None for random ones.
        shapes: Shape of an input with open sizes, by its name.
        seed: Seed of random inputs.
    """

    file: Path | None = None
    shapes: Shapes = field(default_factory=dict)
    seed: int = 0

    def refuse_for(self, why: str) -> None:
        """Refuse inputs where there is no plain file that they could be for.

        Raises:
            InputError: Some were given.
        """
        if self.file or self.shapes:
            raise InputError(
                why, "Leave --inputs and --input-shape out: they are for plain ONNX files."
            )


@dataclass(frozen=True, eq=False)
class Inputs:
    """What plain files are run on.

    Attributes:
        arrays: By the name that the first file gives them.
        batched: Names of those whose first axis is the batch; the others go whole into every run.
        samples: Length of that axis; 1 where there is none.
        step: Samples that the first file takes in one run; None for any number.
        what: `random inputs`, `no inputs`, or the name of the user's file.
        seed: Seed of random inputs; None for others.
    """

    arrays: Arrays
    batched: frozenset[str]
    samples: int
    step: int | None
    what: str
    seed: int | None

    def __str__(self) -> str:
        return self.what if self.seed is None else f"{self.what} (seed {self.seed})"


def parse_shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Read shapes as they are typed: `x=1x3x224x224`.

    Raises:
        InputError: A text is none, or an input is named twice.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, equals, sizes = text.rpartition("=")
        parts = sizes.lower().split("x")
        if not (name and equals) or not all(part.isdecimal() and int(part) for part in parts):
            raise InputError(
                f"'{text}' is no shape of an input.", "Write it as `--input-shape x=1x3x224x224`."
            )
        if name in shapes:
            raise InputError(f"The shape of '{name}' is given twice.", "Give it once.")
        shapes[name] = tuple(map(int, parts))
    return shapes


def make_inputs(file: PlainFile, request: Request, samples: int | None = None) -> Inputs:
    """Make or read inputs for a file.

    Random bytes are even, other integers are 0 or 1, and floats are normally distributed, rounded
    to what float16 can hold, so that files of other precisions get the very same numbers.

    Args:
        file: What they are for.
        request: What the user said of them.
        samples: How many to draw where the file does not say; by default up to 8.

    Raises:
        InputError: A size is open, or what was given does not fit.
    """
    specs = fixed(file.name, file.inputs, request.shapes)
    if not specs:
        if request.file:
            raise InputError(f"{file} takes no inputs.", "Leave --inputs out.")
        return Inputs({}, frozenset(), 1, None, NO_INPUTS, None)
    if request.file:
        return _read(file, specs, request.file)
    _refuse_open(file, specs)
    random = np.random.default_rng(request.seed)
    batched, step = batch_axis(specs)
    count = samples or (step if step and step > 1 else few(specs, 1, _PARITY_ELEMENTS))
    rows = {spec.name: count if spec.name in batched else 0 for spec in specs}
    arrays = {spec.name: _draw(spec, rows[spec.name], random) for spec in specs}
    return Inputs(arrays, batched, count if batched else 1, step, RANDOM, request.seed)


def fixed(file: str, inputs: Sequence[TensorSpec], shapes: Shapes) -> tuple[TensorSpec, ...]:
    """Give what a file takes, with the shapes that the user gave in place of open ones.

    Open sizes of one name are one size, in other inputs too.

    Args:
        file: The file's name, for the error.
        inputs: What it declares.
        shapes: What the user gave, by the names of the inputs.

    Raises:
        InputError: There is no such input, or it cannot have this shape.
    """
    names = [spec.name for spec in inputs]
    for name in shapes:
        if name not in names:
            raise InputError(
                f"{file} has no input '{name}'; it has {', '.join(names) or 'none'}.",
                "Use the names that `edgecnn inspect` shows.",
            )
    specs = [
        _with_shape(file, spec, tuple(shapes[spec.name])) if spec.name in shapes else spec
        for spec in inputs
    ]
    sizes: dict[int | str, int | str] = {
        name: size
        for open_, closed in zip(inputs, specs, strict=True)
        for name, size in zip(open_.shape, closed.shape, strict=True)
        if isinstance(name, str) and isinstance(size, int) and name != "?"
    }
    return tuple(
        replace(spec, shape=tuple(sizes.get(size, size) for size in spec.shape)) for spec in specs
    )


def batch_axis(specs: Sequence[TensorSpec]) -> tuple[frozenset[str], int | None]:
    """Find the inputs whose first axis is the batch, and its size; None where it is open."""
    leads = {spec.name: spec.shape[0] for spec in specs if spec.shape}
    open_ones = frozenset(name for name, lead in leads.items() if isinstance(lead, str))
    if open_ones:
        return open_ones, None
    sizes = {spec.shape[0] for spec in specs if len(spec.shape) > 1}
    if len(sizes) != 1:
        return frozenset(), None
    (size,) = sizes
    return frozenset(name for name, lead in leads.items() if lead == size), int(size)


def few(specs: Sequence[TensorSpec], size: int, elements: int) -> int:
    """Give how many batches hold at most so many elements: from 1 to 8."""
    each = sum(math.prod(n for n in spec.shape[1:] if isinstance(n, int)) for spec in specs)
    return min(MOST, max(1, elements // max(1, each * size)))


def _with_shape(file: str, spec: TensorSpec, shape: tuple[int, ...]) -> TensorSpec:
    pairs = zip(spec.shape, shape, strict=False)
    same = all(isinstance(want, str) or want == have for want, have in pairs)
    if len(shape) != len(spec.shape) or not same:
        raise InputError(
            f"{file} takes {spec}, which cannot be {'x'.join(map(str, shape))}.",
            f"Give it as `--input-shape {_example(spec)}`.",
        )
    return replace(spec, shape=shape)


def _refuse_open(file: PlainFile, specs: Sequence[TensorSpec]) -> None:
    for spec in specs:
        axes = [
            f"axis {place}" if size == "?" else size
            for place, size in enumerate(spec.shape)
            if place and isinstance(size, str)
        ]
        if axes:
            raise InputError(
                f"{file} takes {spec}, which leaves {', '.join(axes)} open.",
                f"Say the shape, such as `--input-shape {_example(spec)}`, or give "
                "`--inputs FILE.npz`.",
            )


def _example(spec: TensorSpec) -> str:
    usual = _USUAL_SIZE.get(len(spec.shape), 16)
    sizes = [
        size if isinstance(size, int) else usual if place else 1
        for place, size in enumerate(spec.shape)
    ]
    return shlex.quote(f"{spec.name}={'x'.join(map(str, sizes))}")


def _draw(spec: TensorSpec, count: int, random: np.random.Generator) -> NDArray[Any]:
    shape = tuple(map(int, (count, *spec.shape[1:]) if count else spec.shape))
    dtype = plain_dtype(spec)
    if dtype.kind == "f":
        return random.standard_normal(shape).astype(np.float16).astype(dtype)
    return random.integers(0, 256 if dtype.kind == "u" else 2, shape).astype(dtype)


def plain_dtype(spec: TensorSpec) -> np.dtype[Any]:
    """Give an input's type.

    Raises:
        InputError: NumPy has no such numbers.
    """
    try:
        dtype = np.dtype(spec.dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fuib":
        raise InputError(
            f"Input {spec} is of a type that is neither drawn nor read from an npz file.",
            "Export the model with inputs of plain numbers.",
        )
    return dtype


def _read(file: PlainFile, specs: Sequence[TensorSpec], path: Path) -> Inputs:
    wanted = [spec.name for spec in specs]
    arrays, given = _load(path, wanted)
    if set(wanted) != set(given):
        example = ", ".join(f"{name!r}: array" for name in wanted)
        raise InputError(
            f"{file} takes {', '.join(wanted)}, but {path} holds {', '.join(given) or 'nothing'}.",
            f"Write it with `numpy.savez({path.name!r}, **{{{example}}})`.",
        )
    batched, step = batch_axis(specs)
    for spec in specs:
        _check(spec, arrays[spec.name], path, any_length=spec.name in batched)
    lengths = {len(arrays[name]) for name in batched} or {1}
    if len(lengths) > 1:
        raise InputError(
            f"The arrays of {path} hold {', '.join(map(str, sorted(lengths)))} samples.",
            "Give each as many.",
        )
    return Inputs(arrays, batched, lengths.pop(), step, path.name, None)


def _load(path: Path, wanted: Sequence[str]) -> tuple[Arrays, list[str]]:
    """Give a file's arrays, if they are those that are wanted, and the names of all it holds."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if set(archive.files) != set(wanted):
                return {}, archive.files
            _refuse_huge(path, sum(member.file_size for member in archive.zip.infolist()))
            return {name: np.asarray(archive[name]) for name in archive.files}, archive.files
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path} cannot be read: {reason}.", "Check the path.") from error
    except (
        ValueError,
        AttributeError,
        TypeError,
        EOFError,
        KeyError,
        MemoryError,
        zipfile.BadZipFile,
    ) as error:
        raise InputError(
            f"{path} is no npz file of plain arrays.", "Write it with `numpy.savez`."
        ) from error


def _refuse_huge(path: Path, unpacked: int) -> None:
    # A megabyte of zeros unpacks to a gigabyte.
    if unpacked > (granted_memory() // _SHARE or unpacked):
        raise InputError(
            f"{path} unpacks to {unpacked / 1e9:.1f} GB, more than a quarter of the memory here.",
            "Give fewer samples.",
        )


def _check(spec: TensorSpec, value: NDArray[Any], path: Path, *, any_length: bool) -> None:
    if value.dtype != plain_dtype(spec):
        raise InputError(
            f"'{spec.name}' is {value.dtype.str} ({value.dtype}) in {path}, but the file takes "
            f"{spec}.",
            f"Convert it with `.astype('{spec.dtype}')`.",
        )
    if 0 in value.shape or not fits(spec, value, any_length=any_length):
        raise InputError(
            f"'{spec.name}' has the shape {list(value.shape)} in {path}, but the file takes "
            f"{spec}.",
            "Reshape it.",
        )


def fits(spec: TensorSpec, value: NDArray[Any], *, any_length: bool) -> bool:
    """Say whether an array has an input's shape, but for its first axis if any length will do."""
    if value.ndim != len(spec.shape):
        return False
    pairs = list(zip(spec.shape, value.shape, strict=True))[int(any_length) :]
    return all(isinstance(want, str) or want == have for want, have in pairs)
