"""Plain files: held against each other, or against themselves on another engine.

They have no golden vectors and no tolerances. How far two answers may lie apart is worked out from
the graphs themselves, with the reference runtime in float32 and in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.agreement.gates import Limits, own_limits, pair_limits
from edgecnn.agreement.metrics import derived_atol, sqnr_db
from edgecnn.agreement.pairs import Pair, Trial, matched_outputs, named_arrays
from edgecnn.agreement.sides import Engine, Side, make_side
from edgecnn.errors import InputError, ModelError, RuntimeCrashed
from edgecnn.plain import (
    RANDOM,
    Inputs,
    PlainFile,
    Request,
    feeds,
    gather,
    make_inputs,
    matching,
    open_files,
)
from edgecnn.spec import Tolerance
from edgecnn.worker import Crashes, Worker

# Noise of a tenth of the amplitude: int8 that is well calibrated stays below, on what it was
# calibrated for.
QUANTIZED_SQNR_DB = 20.0
# Where rounding tips a quantized value over, engines differ by whole steps. How often is seen
# between float32 and float64; twice the noise is allowed, and where none was seen, this.
_TIPPED_SQNR_DB = 30.0
_TIPPED_MARGIN_DB = 6.0

_ONE = np.ones(1, np.float32)
_UNCALIBRATED = "the inputs are random, and it was calibrated for others"


@dataclass(frozen=True, eq=False)
class _Row:
    """One file, what each engine answers if it does, and how far that may be off."""

    file: PlainFile
    sides: list[Side | None]
    rounding: Mapping[str, Tolerance]
    notes: tuple[str, ...]

    @property
    def quantized(self) -> bool:
        return self.file.variant.precision == "int8"


def plain_trial(
    paths: Sequence[Path], engines: Sequence[Engine], request: Request, *, derive: bool = True
) -> Trial:
    """Hold one file against another, and each engine against the first, on the same inputs.

    Args:
        paths: One file or two.
        engines: What runs them.
        request: What the user said of the inputs.
        derive: Work out how far answers may lie apart; that runs the reference runtime twice.

    Raises:
        InputError: The files take other inputs, or an input cannot be made.
        ModelError: The gate or an engine refuses a file.
    """
    files = open_files(paths)
    inputs = make_inputs(files[0], request)
    quantized = any(file.variant.precision == "int8" for file in files)
    derive = derive and (len(engines) > 1 or not quantized)
    crashes = Crashes()
    rows = [_row(file, inputs, engines, crashes, derive=derive) for file in files]
    pairs = [pair for row in rows if any(row.sides) for pair in _between_engines(row)]
    if len(rows) > 1:
        doubt = _UNCALIBRATED if quantized and inputs.what == RANDOM else ""
        pairs += _between_files(rows[0], rows[1], doubt)
    full = [pair for pair in pairs if pair.expected.size]
    sides = [side for row in rows for side in row.sides if side]
    arrays = {f"input.{name}": value for name, value in inputs.arrays.items()}
    return Trial(
        inputs.what,
        inputs.samples,
        tuple(full),
        arrays | named_arrays(sides),
        {name: digest for row in rows for name, digest in row.file.measured.items()},
        None,
        inputs.seed,
        tuple(_notes(rows, pairs)),
        tuple(crashes.found),
    )


def _row(
    file: PlainFile, inputs: Inputs, engines: Sequence[Engine], crashes: Crashes, *, derive: bool
) -> _Row:
    sides: list[Side | None] = []
    for engine in engines:
        sides.append(None)
        with crashes.noting(file.name, engine.runtime, engine.provider):
            sides[-1] = _side(file, inputs, engine)
    rounding, notes = {}, [matching(inputs, file)]
    if derive:
        try:
            rounding = _rounding(file, inputs)
        except (ModelError, RuntimeCrashed) as error:
            notes.append(f"No tolerance can be derived for {file}: {error.problem}")
    return _Row(file, sides, rounding, tuple(filter(None, notes)))


def _side(file: PlainFile, inputs: Inputs, engine: Engine) -> Side:
    runs = feeds(inputs, file, engine.batch_size)
    samples = -(-inputs.samples // len(runs))
    guarded = replace(engine, apart=True, memory_limit=file.memory_for(samples, engine.provider))
    with guarded.open(file.variant) as session:
        outputs = gather([session.run(run) for run in runs], file)
        return make_side(file.name, session, outputs, file.variant, file.measured)


def _rounding(file: PlainFile, inputs: Inputs) -> dict[str, Tolerance]:
    """Give how far each output may be off by rounding, whatever the engine under test does."""
    runs = feeds(inputs, file)
    with Worker(memory_limit=file.memory_for(inputs.samples, "cpu")) as worker:

        def answers(precision: str) -> dict[str, NDArray[Any]]:
            how = {"precision": precision}
            worker.open(file.variant, runtime="reference", options=how)
            return gather([worker.outputs(run) for run in runs], file)

        rounded, exact = answers("fp32"), answers("float64")
    found = {}
    for name, value in exact.items():
        if value.size and rounded[name].shape == value.shape:
            pair = (rounded[name], value.astype(np.float64))
            quantized = file.variant.precision == "int8"
            found[name] = _tipped(*pair) if quantized else _rounded(*pair, name in file.up_to_one)
    return found


def _rounded(outputs: NDArray[Any], exact: NDArray[np.float64], up_to_one: bool) -> Tolerance:
    atol = derived_atol(outputs, exact)
    return Tolerance(
        atol=max(atol, derived_atol(_ONE, _ONE.astype(np.float64))) if up_to_one else atol
    )


def _tipped(outputs: NDArray[Any], exact: NDArray[np.float64]) -> Tolerance:
    return Tolerance(sqnr_db=min(_TIPPED_SQNR_DB, sqnr_db(outputs, exact) - _TIPPED_MARGIN_DB))


def _between_engines(row: _Row) -> Iterator[Pair]:
    first, *others = [side for side in row.sides if side]
    for side in others:
        for name, value in first.outputs.items():
            limits = own_limits(row.rounding.get(name, Tolerance()), same_engine=False)
            yield _pair(side, first.engine, name, value, limits)


def _between_files(row: _Row, other: _Row, doubt: str) -> Iterator[Pair]:
    quantized = row.quantized or other.quantized
    for side, against in zip(row.sides, other.sides, strict=True):
        if side is None or against is None:
            continue
        for name, their in matched_outputs(side, against.name, against.outputs):
            limits = Limits(sqnr_db=QUANTIZED_SQNR_DB)
            if not quantized:
                limits = pair_limits(
                    row.rounding.get(name, Tolerance()), other.rounding.get(their, Tolerance())
                )
            yield _pair(side, against.name, name, against.outputs[their], limits, doubt)


def _pair(
    side: Side, label: str, name: str, expected: NDArray[Any], limits: Limits, doubt: str = ""
) -> Pair:
    found = side.outputs[name]
    if found.shape != expected.shape:
        raise InputError(
            f"Output '{name}' of {side.name} has the shape {list(found.shape)}, and that of "
            f"{label} {list(expected.shape)}.",
            "Give both the same batch, such as `--batch-size 1`."
            if found.shape[1:] == expected.shape[1:]
            else "Compare models with the same outputs.",
        )
    return Pair(side, label, name, expected, limits, doubt)


def _notes(rows: Sequence[_Row], pairs: Sequence[Pair]) -> Iterator[str]:
    for row in rows:
        yield from row.notes
    for name in dict.fromkeys(pair.output for pair in pairs if not pair.expected.size):
        yield f"Output '{name}' is empty on these inputs, so it is not compared."
