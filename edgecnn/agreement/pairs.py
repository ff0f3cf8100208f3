"""Which sides are held against which, and how near they must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.agreement.gates import Limits, golden_limits, own_limits, pair_limits
from edgecnn.agreement.sides import Engine, Side, file_side, readers_of, variant_side
from edgecnn.bundle import GOLDEN, Bundle
from edgecnn.errors import InputError
from edgecnn.formats import readable, unread, usual_reader
from edgecnn.golden import Golden, expected, golden
from edgecnn.plain import PlainFile, open_files
from edgecnn.spec import InputContract, Tolerance, Variant
from edgecnn.worker import Crashes, EngineFailure

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
        doubt: Why a gate that is not met would not be a failure; empty where it is one.
    """

    side: Side
    against: str
    output: str
    expected: NDArray[Any]
    limits: Limits
    doubt: str = ""


@dataclass(frozen=True, eq=False)
class Trial:
    """Everything that was run, ready to be judged.

    Attributes:
        inputs: `golden vectors`, with `(stand-in images)` where they are; of plain files `random
            inputs`, `no inputs` or the name of the user's file.
        images: How many inputs there were.
        pairs: What is held against what.
        arrays: Inputs and all outputs, by name.
        measured: SHA-256 of every file, by name.
        contract: Names the classes; None for plain files.
        seed: Seed of random inputs; None for others.
        notes: What should be known of the comparison, in whole sentences.
        failures: What has no answer, because its engine failed.
    """

    inputs: str
    images: int
    pairs: tuple[Pair, ...]
    arrays: Outputs
    measured: dict[str, str]
    contract: InputContract | None
    seed: int | None = None
    notes: tuple[str, ...] = ()
    failures: tuple[EngineFailure, ...] = ()


def bundle_trial(bundle: Bundle, names: Sequence[str] | None, engines: Sequence[Engine]) -> Trial:
    """Hold variants against the golden vectors, their own outputs, and the first engine's."""
    vectors, crashes = golden(bundle), Crashes()
    sides = [
        list(_variant_sides(bundle, name, engines, vectors, crashes))
        for name in names or _all(bundle, engines)
    ]
    pairs = [pair for row in sides for side in row for pair in golden_pairs(bundle, side, vectors)]
    pairs += [pair for row in sides for side in row[1:] for pair in _against_engine(side, row[0])]
    trial = _golden_trial(bundle, vectors, [side for row in sides for side in row], pairs, crashes)
    return trial if names else replace(trial, notes=_left_out(bundle, engines))


def _variant_sides(
    bundle: Bundle, name: str, engines: Sequence[Engine], vectors: Golden, crashes: Crashes
) -> Iterator[Side]:
    for engine in readers_of(bundle.variant(name), engines):
        with crashes.noting(name, engine.runtime, engine.provider):
            yield variant_side(bundle, name, engine, vectors.images)


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
    vectors, crashes = golden(bundle), Crashes()
    notes = () if names else _left_out(bundle, engines)
    names = tuple(names or (name for name in _all(bundle, engines) if name != other))
    if not names:
        raise InputError(
            f"{bundle.folder} has only the variant '{other}', so nothing is left to compare.",
            "Leave --against out to hold it against the golden vectors.",
        )
    against = open_files([other])[0] if isinstance(other, Path) else other
    both = [
        (side, reference, _label(against, reference))
        for name in names
        for side, reference in _with_reference(bundle, name, engines, against, vectors, crashes)
    ]
    pairs = [
        Pair(
            side,
            label,
            output,
            reference.outputs[their],
            pair_limits(side.tolerance(output), reference.tolerance(their)),
        )
        for side, reference, label in both
        for output, their in matched_outputs(side, label, reference.outputs)
    ]
    sides = [side for row in both for side in row[:2]]
    return replace(_golden_trial(bundle, vectors, sides, pairs, crashes), notes=notes)


def _with_reference(
    bundle: Bundle,
    name: str,
    engines: Sequence[Engine],
    against: Bundle | PlainFile | str,
    vectors: Golden,
    crashes: Crashes,
) -> Iterator[tuple[Side, Side]]:
    for engine in readers_of(bundle.variant(name), engines):
        with crashes.noting(name, engine.runtime, engine.provider):
            side = variant_side(bundle, name, engine, vectors.images)
            yield side, _reference(bundle, against, name, (engine, *engines), vectors)


def _label(against: Bundle | PlainFile | str, reference: Side) -> str:
    return str(against.folder) if isinstance(against, Bundle) else reference.name


def file_trial(path: Path, bundle: Bundle, engines: Sequence[Engine]) -> Trial:
    """Hold a file against a bundle's golden vectors, within the tolerance of its first variant."""
    vectors, crashes = golden(bundle), Crashes()
    contract = bundle.manifest.contract
    first = next(iter(bundle.manifest.variants), None)
    tolerances = {} if first is None else first.tolerances
    (file,) = open_files([path])
    sides = []
    for engine in engines:
        with crashes.noting(file.name, engine.runtime, engine.provider):
            sides.append(file_side(file, contract, engine, vectors.images))
    pairs = [
        Pair(
            side,
            "golden",
            name,
            vectors.outputs[their],
            golden_limits(tolerances.get(their, Tolerance())),
        )
        for side in sides
        for name, their in matched_outputs(side, "golden", vectors.outputs)
    ]
    return _golden_trial(bundle, vectors, sides, pairs, crashes)


def _all(bundle: Bundle, engines: Sequence[Engine]) -> tuple[str, ...]:
    runtimes = dict.fromkeys(engine.runtime for engine in engines)
    return tuple(variant.name for variant in readable(bundle.manifest.variants, *runtimes))


def _left_out(bundle: Bundle, engines: Sequence[Engine]) -> tuple[str, ...]:
    runtimes = dict.fromkeys(engine.runtime for engine in engines)
    return unread(bundle.manifest.variants, *runtimes)


def _against_golden(side: Side, vectors: Golden) -> Iterator[Pair]:
    for name, their in matched_outputs(side, "golden", vectors.outputs):
        limits = golden_limits(side.tolerance(name))
        yield Pair(side, "golden", name, vectors.outputs[their], limits)


def _against_own(bundle: Bundle, side: Side) -> Iterator[Pair]:
    if side.variant.golden is None:
        return
    own = expected(bundle, side.variant)
    # With options an engine may round elsewhere, such as ONNX Runtime without its optimizations.
    same = (side.runtime, side.provider) == (own.runtime, own.provider) and not side.how
    for name, their in matched_outputs(side, "own golden", own.outputs):
        limits = own_limits(side.tolerance(name), same_engine=same)
        yield Pair(side, "own golden", name, own.outputs[their], limits)


def _against_engine(side: Side, first: Side) -> Iterator[Pair]:
    for name, their in matched_outputs(side, first.engine, first.outputs):
        limits = own_limits(side.tolerance(name), same_engine=False)
        yield Pair(side, first.engine, name, first.outputs[their], limits)


def _reference(
    bundle: Bundle,
    other: Bundle | PlainFile | str,
    name: str,
    engines: Sequence[Engine],
    vectors: Golden,
) -> Side:
    """Run what is compared with, on the first of some engines that reads it."""
    if isinstance(other, str):
        engine = _first_reader(bundle.variant(other), engines)
        return variant_side(bundle, other, engine, vectors.images)
    if isinstance(other, PlainFile):
        engine = _first_reader(other.variant, engines)
        return file_side(other, bundle.manifest.contract, engine, vectors.images)
    ours, theirs = bundle.manifest.contract, other.manifest.contract
    if ours.pixel_shape != theirs.pixel_shape:
        raise InputError(
            f"{bundle.folder} takes images of {_size(ours)}, {other.folder} of {_size(theirs)}.",
            "Compare bundles that take the same images.",
        )
    engine = _first_reader(other.variant(name), engines)
    return variant_side(other, name, engine, vectors.images)


def _first_reader(variant: Variant, engines: Sequence[Engine]) -> Engine:
    try:
        return readers_of(variant, engines)[0]
    except InputError as error:
        both = f"{engines[0].runtime},{usual_reader(variant.format) or 'NAME'}"
        raise InputError(error.problem, f"Name both engines: `--runtime {both}`.") from error


def _size(contract: InputContract) -> str:
    return f"{contract.width}x{contract.height} {contract.color}"


def matched_outputs(side: Side, label: str, others: Outputs) -> list[tuple[str, str]]:
    """Pair a side's outputs with others: by name, or in their order where the names differ.

    Raises:
        InputError: One has more than the other.
    """
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
    bundle: Bundle,
    vectors: Golden,
    sides: Sequence[Side],
    pairs: Sequence[Pair],
    crashes: Crashes,
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
        arrays | named_arrays(sides),
        measured,
        bundle.manifest.contract,
        failures=tuple(crashes.found),
    )


def named_arrays(sides: Sequence[Side]) -> Outputs:
    """Give every output of some sides, for a file."""
    return {
        f"{side.name}.{side.runtime}.{side.provider}.{name}": np.asarray(value)
        for side in sides
        for name, value in side.outputs.items()
    }
