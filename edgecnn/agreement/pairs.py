"""Which sides are held against which, and how near they must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.agreement.gates import Limits, golden_limits, own_limits, pair_limits
from edgecnn.agreement.sides import (
    Engine,
    Side,
    file_side,
    input_side,
    random_inputs,
    rounding_atol,
    variant_side,
)
from edgecnn.bundle import GOLDEN, Bundle
from edgecnn.errors import InputError
from edgecnn.golden import Golden, expected, golden
from edgecnn.spec import InputContract, Tolerance

Outputs = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Pair:
    """Outputs of one side, and what they are held against.

    Attributes:
        side: What answered.
        against: What it is held against, for people.
        output: Name of the output.
        expected: What it should be, [N, ...].
        limits: How near it must be.
    """

    side: Side
    against: str
    output: str
    expected: NDArray[Any]
    limits: Limits


@dataclass(frozen=True, eq=False)
class Trial:
    """Everything that was run, ready to be judged.

    Attributes:
        inputs: `golden vectors`, with `(stand-in images)` where they are; or `random inputs`.
        images: How many inputs there were.
        pairs: What is held against what.
        arrays: Inputs and all outputs, by name.
        measured: SHA-256 of every file, by name.
        contract: Names the classes; None for plain files.
    """

    inputs: str
    images: int
    pairs: tuple[Pair, ...]
    arrays: Outputs
    measured: dict[str, str]
    contract: InputContract | None


def bundle_trial(bundle: Bundle, names: Sequence[str] | None, engines: Sequence[Engine]) -> Trial:
    """Hold variants against the golden vectors, their own outputs, and the first engine's."""
    vectors = golden(bundle)
    sides = [
        [variant_side(bundle, name, engine, vectors.images) for engine in engines]
        for name in names or _all(bundle)
    ]
    pairs = [pair for row in sides for side in row for pair in golden_pairs(bundle, side, vectors)]
    pairs += [pair for row in sides for side in row[1:] for pair in _against_engine(side, row[0])]
    return _golden_trial(bundle, vectors, [side for row in sides for side in row], pairs)


def golden_pairs(bundle: Bundle, side: Side, vectors: Golden) -> Iterator[Pair]:
    """Hold a variant against the golden outputs, and what it answered itself when it was made.

    Raises:
        BundleError: Its own expected outputs are damaged.
    """
    yield from _against_golden(side, vectors)
    yield from _against_own(bundle, side)


def variant_trial(
    bundle: Bundle,
    names: Sequence[str] | None,
    engines: Sequence[Engine],
    other: Bundle | Path | str,
) -> Trial:
    """Hold variants against another variant, a bundle's variants of the same names, or a file."""
    vectors = golden(bundle)
    names = tuple(names or (name for name in _all(bundle) if name != other))
    if not names:
        raise InputError(
            f"{bundle.folder} has only the variant '{other}', so nothing is left to compare.",
            "Leave --against out to hold it against the golden vectors.",
        )
    sides, pairs = [], []
    for name in names:
        for engine in engines:
            side = variant_side(bundle, name, engine, vectors.images)
            reference = _reference(bundle, other, name, engine, vectors)
            label = reference.name if isinstance(other, str) else str(_place(other))
            pairs += [
                Pair(
                    side,
                    label,
                    name,
                    reference.outputs[their],
                    pair_limits(side.tolerance(name), reference.tolerance(their)),
                )
                for name, their in _names(side, label, reference.outputs)
            ]
            sides += [side, reference]
    return _golden_trial(bundle, vectors, sides, pairs)


def file_trial(path: Path, bundle: Bundle, engines: Sequence[Engine]) -> Trial:
    """Hold a file against a bundle's golden vectors, within the tolerance of its first variant."""
    vectors = golden(bundle)
    contract = bundle.manifest.contract
    first = next(iter(bundle.manifest.variants), None)
    tolerances = {} if first is None else first.tolerances
    sides = [file_side(str(path), contract, engine, vectors.images) for engine in engines]
    pairs = [
        Pair(
            side,
            "golden",
            name,
            vectors.outputs[their],
            golden_limits(tolerances.get(their, Tolerance())),
        )
        for side in sides
        for name, their in _names(side, "golden", vectors.outputs)
    ]
    return _golden_trial(bundle, vectors, sides, pairs)


def random_trial(first: Path, second: Path | None, engines: Sequence[Engine], seed: int) -> Trial:
    """Hold one file against another, or one engine against the first, on random inputs."""
    inputs = random_inputs(str(first), engines[0], seed)
    sides = [input_side(str(first), engine, inputs) for engine in engines]
    atols = list(rounding_atol(str(first), inputs).values())
    pairs, others = [], []
    for side in sides[1:]:
        label = f"{sides[0].runtime}/{sides[0].provider}"
        pairs += _within(side, label, sides[0].outputs, [2 * atol for atol in atols])
    if second is not None:
        others = [input_side(str(second), engine, inputs) for engine in engines]
        theirs = rounding_atol(str(second), inputs).values()
        sums = [a + b for a, b in zip(atols, theirs, strict=False)]
        for side, other in zip(sides, others, strict=True):
            pairs += _within(side, other.name, other.outputs, sums)
    arrays = {f"input.{name}": value for name, value in inputs.items()}
    count = max((len(value) for value in inputs.values() if value.ndim), default=1)
    everything = [*sides, *others]
    return Trial(
        "random inputs",
        count,
        tuple(pairs),
        arrays | _named(everything),
        {file: digest for side in everything for file, digest in side.measured.items()},
        None,
    )


def _all(bundle: Bundle) -> tuple[str, ...]:
    return tuple(variant.name for variant in bundle.manifest.variants)


def _against_golden(side: Side, vectors: Golden) -> Iterator[Pair]:
    for name, their in _names(side, "golden", vectors.outputs):
        limits = golden_limits(side.tolerance(name))
        yield Pair(side, "golden", name, vectors.outputs[their], limits)


def _against_own(bundle: Bundle, side: Side) -> Iterator[Pair]:
    if side.variant.golden is None:
        return
    own = expected(bundle, side.variant)
    same = (side.runtime, side.provider) == (own.runtime, own.provider)
    for name, their in _names(side, "own golden", own.outputs):
        limits = own_limits(side.tolerance(name), same_engine=same)
        yield Pair(side, "own golden", name, own.outputs[their], limits)


def _against_engine(side: Side, first: Side) -> Iterator[Pair]:
    label = f"{first.runtime}/{first.provider}"
    for name, their in _names(side, label, first.outputs):
        limits = own_limits(side.tolerance(name), same_engine=False)
        yield Pair(side, label, name, first.outputs[their], limits)


def _reference(
    bundle: Bundle, other: Bundle | Path | str, name: str, engine: Engine, vectors: Golden
) -> Side:
    if isinstance(other, str):
        return variant_side(bundle, other, engine, vectors.images)
    if isinstance(other, Path):
        return file_side(str(other), bundle.manifest.contract, engine, vectors.images)
    ours, theirs = bundle.manifest.contract, other.manifest.contract
    if ours.pixel_shape != theirs.pixel_shape:
        raise InputError(
            f"{bundle.folder} takes images of {_size(ours)}, {other.folder} of {_size(theirs)}.",
            "Compare bundles that take the same images.",
        )
    return variant_side(other, name, engine, vectors.images)


def _size(contract: InputContract) -> str:
    return f"{contract.width}x{contract.height} {contract.color}"


def _place(other: Bundle | Path) -> Path:
    return other.folder if isinstance(other, Bundle) else other


def _within(side: Side, label: str, others: Outputs, atols: list[float]) -> list[Pair]:
    matched = _names(side, label, others)
    limits = [Limits(atol=atol) for atol in atols] or [Limits()] * len(matched)
    return [
        Pair(side, label, name, others[their], limit)
        for (name, their), limit in zip(matched, limits, strict=True)
    ]


def _names(side: Side, label: str, others: Outputs) -> list[tuple[str, str]]:
    ours, theirs = list(side.outputs), list(others)
    if set(ours) == set(theirs):
        return [(name, name) for name in ours]
    if len(ours) != len(theirs):
        raise InputError(
            f"{side.name} has the outputs {', '.join(ours)}, but {label} has {', '.join(theirs)}.",
            "Compare models with the same outputs.",
        )
    return list(zip(ours, theirs, strict=True))


def _golden_trial(
    bundle: Bundle, vectors: Golden, sides: Sequence[Side], pairs: Sequence[Pair]
) -> Trial:
    arrays: Outputs = {"images": vectors.images, "labels": vectors.labels}
    arrays |= {f"golden.{name}": output for name, output in vectors.outputs.items()}
    measured = {GOLDEN: bundle.files[GOLDEN].sha256}
    for side in sides:
        measured |= side.measured
    return Trial(
        vectors.what,
        len(vectors.images),
        tuple(pairs),
        arrays | _named(sides),
        measured,
        bundle.manifest.contract,
    )


def _named(sides: Sequence[Side]) -> Outputs:
    return {
        f"{side.name}.{side.runtime}.{side.provider}.{name}": np.asarray(value)
        for side in sides
        for name, value in side.outputs.items()
    }
