"""Handing inputs to a file run by run, under its own names and in its own batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import InputError
from edgecnn.plain.files import PlainFile
from edgecnn.plain.inputs import (
    MOST,
    NO_INPUTS,
    RANDOM,
    Arrays,
    Inputs,
    Request,
    batch_axis,
    few,
    fits,
    fixed,
    make_inputs,
    plain_dtype,
)
from edgecnn.spec import TensorSpec

# As float32 the batches of a bench take 64 MiB; they go through a pipe.
_BENCH_ELEMENTS = 1 << 24


def feeds(inputs: Inputs, file: PlainFile, size: int | None = None) -> list[Arrays]:
    """Give what a file is run on, run by run, under the names that it has for its inputs.

    Where its names are others, as many inputs are taken in their order.

    Args:
        inputs: What all files are run on.
        file: Which is run.
        size: Samples in one run, where the file leaves that open.

    Raises:
        InputError: The file takes other inputs, or batches that these do not fill.
    """
    ours = _matched(inputs, file)
    arrays = {spec.name: _converted(inputs, ours[spec.name], spec, file) for spec in file.inputs}
    batched = {spec for spec in file.inputs if ours[spec.name] in inputs.batched}
    if not batched:
        return [arrays]
    step = _step(inputs, file, batched, size)
    names = {spec.name for spec in batched}
    return [
        {name: value[at : at + step] if name in names else value for name, value in arrays.items()}
        for at in range(0, inputs.samples, step)
    ]


def matching(inputs: Inputs, file: PlainFile) -> str:
    """Say which input went into which, where names differ; empty where they do not.

    Raises:
        InputError: The file takes other inputs.
    """
    pairs = [f"{ours} into {name}" for name, ours in _matched(inputs, file).items() if name != ours]
    return f"{file} calls its inputs otherwise: {', '.join(pairs)}." if pairs else ""


def batch_of(file: PlainFile, request: Request, batch_size: int | None) -> int:
    """Give the samples in one run; where nothing says how many, 1.

    Args:
        file: What is run.
        request: What the user said of the inputs.
        batch_size: What the user said of it.

    Raises:
        InputError: It takes other batches.
    """
    batched, step = batch_axis(fixed(file.name, file.inputs, request.shapes))
    size = batch_size or step or 1
    if size != (step or size) or (size > 1 and not batched):
        raise InputError(
            f"{file} takes batches of {step or 1}, not {size}.",
            f"Use --batch-size {step or 1}, or leave it out.",
        )
    return size


def batches(
    file: PlainFile, request: Request, size: int, like: PlainFile
) -> tuple[list[Arrays], str]:
    """Give up to 8 different runs of a file, to be timed in turn, and say what they are.

    Args:
        file: What is run.
        request: What the user said of the inputs.
        size: Samples in one run; `batch_of` gives it.
        like: The file whose inputs these are.

    Raises:
        InputError: A size is open, or what was given does not fit.
    """
    most = few(fixed(file.name, file.inputs, request.shapes), size, _BENCH_ELEMENTS)
    inputs = _repeated(make_inputs(like, request, most * size), size)
    runs = feeds(inputs, file, size)[:MOST]
    return runs, "; ".join(filter(None, (_said(inputs, len(runs), size), matching(inputs, file))))


def _said(inputs: Inputs, runs: int, size: int) -> str:
    if not inputs.arrays:
        return f"{NO_INPUTS}, for the file takes none"
    if not inputs.batched:
        return f"{inputs}, the same in every call"
    samples = f"{runs * size} {inputs}" if inputs.what == RANDOM else f"{runs * size} of {inputs}"
    return f"{samples}, in turn in {runs} {'batch' if runs == 1 else 'batches'} of {size}"


def gather(parts: Sequence[Mapping[str, NDArray[Any]]], file: PlainFile) -> Arrays:
    """Put the outputs of several runs together along their first axis.

    Raises:
        InputError: An output changes its shape from run to run.
    """
    together = {}
    for name in parts[0]:
        values = [np.atleast_1d(part[name]) for part in parts]
        if len({value.shape[1:] for value in values}) > 1:
            raise InputError(
                f"Output '{name}' of {file} changes its shape from run to run.",
                "Give one sample: `--inputs FILE.npz`.",
            )
        together[name] = np.concatenate(values)
    return together


def _matched(inputs: Inputs, file: PlainFile) -> dict[str, str]:
    names, ours = [spec.name for spec in file.inputs], list(inputs.arrays)
    pairs = dict(zip(names, names if set(names) == set(ours) else ours, strict=False))
    if len(names) != len(ours) or not all(_takes(inputs, pairs[s.name], s) for s in file.inputs):
        raise InputError(
            f"{file} takes {', '.join(map(str, file.inputs)) or 'nothing'}, "
            "which is not what the other file takes.",
            "Compare files with the same inputs, or compare them through a bundle: "
            "`edgecnn parity FILE BUNDLE`.",
        )
    return pairs


def _takes(inputs: Inputs, name: str, spec: TensorSpec) -> bool:
    value = inputs.arrays[name]
    kinds = (value.dtype.kind, plain_dtype(spec).kind)
    alike = value.dtype == spec.dtype or kinds == ("f", "f")
    return alike and fits(spec, value, any_length=name in inputs.batched)


def _converted(inputs: Inputs, name: str, spec: TensorSpec, file: PlainFile) -> NDArray[Any]:
    value = inputs.arrays[name]
    other = value.astype(spec.dtype, copy=False)
    if other is not value and not np.array_equal(other.astype(value.dtype), value):
        raise InputError(
            f"{file} takes '{spec.name}' as {spec.dtype}, which cannot hold every number of "
            f"{inputs.what}.",
            f"Round them first with `.astype('{spec.dtype}').astype('{value.dtype}')`.",
        )
    return other


def _step(inputs: Inputs, file: PlainFile, batched: set[TensorSpec], size: int | None) -> int:
    own = {spec.shape[0] for spec in batched if isinstance(spec.shape[0], int)}
    if not own:
        return size or inputs.step or inputs.samples
    step = int(max(own))
    if inputs.samples % step or len(own) > 1:
        raise InputError(
            f"{inputs.samples} inputs do not fill batches of {step}, which {file} takes.",
            "Compare files of the same batch, or give as many as both take with --inputs.",
        )
    return step


def _repeated(inputs: Inputs, size: int) -> Inputs:
    """Fill the last run up from the start, or leave it out where there are others."""
    count = inputs.samples
    order = np.arange(max(size, count - count % size)) % count
    arrays = {
        name: value[order] if name in inputs.batched else value
        for name, value in inputs.arrays.items()
    }
    return replace(inputs, arrays=arrays, samples=len(order))
