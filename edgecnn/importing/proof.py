"""Proof that what becomes of an ONNX file computes what the file does.

A float64 run of the new graph says what rounding costs; within 16 times that, the original file and
the new one, at every batch size, must answer the same to the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgecnn.agreement import compare, derived_atol, quantized_tolerance
from edgecnn.agreement.gates import check, golden_limits, judge
from edgecnn.disk import temporary_file
from edgecnn.errors import InputError, ModelError, RuntimeCrashed
from edgecnn.graph.limits import size_text
from edgecnn.importing.onnx_facts import as_rows
from edgecnn.predictor import Predictor, holds_scores
from edgecnn.runtime import open_session
from edgecnn.spec import InputContract, Tolerance, Variant
from edgecnn.worker import open_in_worker

Outputs = dict[str, NDArray[Any]]
Batch = Literal["dynamic"] | int

# Below these, what differs is no rounding: an operator is computed in two ways. Float32 leaves 100
# dB, and 50 in deep nets whose sums cancel; integers between quantizers and dequantizers leave 40.
_LEAST_SQNR_DB = {"fp32": 40.0, "int8": 15.0}

# As many golden images as 4 billion multiply-adds allow, at least 8, at most 32. In float64 NumPy
# needs a few tenths of a second for each billion, and as much again for many small operators.
GOLDEN_IMAGES, LEAST_GOLDEN_IMAGES, GOLDEN_MACS = 32, 8, 4_000_000_000


@dataclass(frozen=True)
class Draft:
    """A file that is not proved yet.

    Attributes:
        content: Its bytes; uint8 pixels go in.
        batch: `dynamic`, or the one batch size that it takes.
        precision: `fp32`, or `int8` where it is quantized.
    """

    content: bytes
    batch: Batch
    precision: Literal["fp32", "int8"]


@dataclass(frozen=True, eq=False)
class Truth:
    """What a net truly answers to some images, and how far off an answer may be.

    Attributes:
        contract: How pictures become input.
        images: uint8 [N, height, width, channels].
        exact: Every output by its name, float64 [N, ...].
        outputs: What the new file itself answers, one image at a time or in its fixed batch.
        tolerances: What each output may be off by.
    """

    contract: InputContract
    images: NDArray[np.uint8]
    exact: dict[str, NDArray[np.float64]]
    outputs: Outputs
    tolerances: dict[str, Tolerance]


def golden_count(macs: int | None) -> int:
    """Give how many golden images a net gets: fewer for large nets, for float64 takes its time.

    Args:
        macs: Multiply-adds of one image; None if unknown.

    >>> [golden_count(macs) for macs in (60_000_000, 300_000_000, 1_800_000_000, None)]
    [32, 13, 8, 8]
    """
    fitting = GOLDEN_MACS // macs if macs else 0
    return min(GOLDEN_IMAGES, max(LEAST_GOLDEN_IMAGES, fitting))


def run_original(
    path: Path, contract: InputContract, images: NDArray[np.uint8], batch: int, memory: int
) -> Outputs:
    """Give what a foreign file itself answers, normalised images going in.

    It runs in a process of its own: what it takes may depend on what it sees, so that the first
    load, on zeros, does not tell.

    Args:
        path: The file.
        contract: How pictures become input.
        images: uint8 [N, height, width, channels].
        batch: Its fixed batch, or 1.
        memory: Bytes that it may take beyond the engine itself.

    Raises:
        RuntimeCrashed: It crashed, hung or asked for too much memory.
    """
    variant = Variant(path.name, "fp32", "onnx", (str(path),), preprocessing=False, batch=batch)
    try:
        with open_in_worker(variant, provider="cpu", threads=1, memory_limit=memory) as session:
            return Predictor(contract, variant, session, batch).run_all(images)
    except RuntimeCrashed as error:
        raise RuntimeCrashed(
            f"{path} failed on pictures, within {size_text(memory)}: {error.problem}", error.remedy
        ) from error


def find_truth(draft: Draft, contract: InputContract, images: NDArray[np.uint8]) -> Truth:
    """Compute what a draft of fixed batch answers in float64 and on ONNX Runtime.

    Raises:
        ModelError: It answers NaN or infinity, or the two differ by more than rounding.
    """
    batch = _fixed(draft)
    with _located(draft) as variant:
        with open_session(variant, provider="cpu") as session:
            outputs = Predictor(contract, variant, session, batch).run_all(images)
        exact = _exact(variant, contract, images, batch)
    for name, value in exact.items():
        if not np.isfinite(value).all():
            raise ModelError(
                f"The output '{name}' is NaN or infinite for some images.",
                "Check the input contract, --scale, --mean and --std first of all.",
            )
        _refuse_two_answers(name, outputs[name], value, _LEAST_SQNR_DB[draft.precision])
    tolerances = {name: _tolerance(draft, contract, name, outputs[name], exact) for name in exact}
    return Truth(contract, images, exact, outputs, tolerances)


def _exact(
    variant: Variant, contract: InputContract, images: NDArray[np.uint8], batch: int
) -> dict[str, NDArray[np.float64]]:
    options = {"precision": "float64"}
    try:
        with open_session(variant, runtime="reference", options=options) as session:
            answers = Predictor(contract, variant, session, batch).run_all(images)
    except (ModelError, RuntimeCrashed) as error:
        raise ModelError(
            f"The net cannot be computed in float64, so nothing can be proved. {error.problem}",
            "Keep it as a plain file: `edgecnn bench FILE`, `edgecnn inspect FILE`.",
        ) from error
    return {name: value.astype(np.float64) for name, value in answers.items()}


def hold(truth: Truth, outputs: Mapping[str, NDArray[Any]], what: str) -> None:
    """Hold answers to the same images against the truth.

    Args:
        truth: What is true.
        outputs: Every output by its name, [N, ...]; [N, classes, 1, 1] will do for [N, classes].
        what: Who answered, for an error.

    Raises:
        ModelError: An output is missing, of another shape, or too far off.
    """
    for name, exact in truth.exact.items():
        found = as_shaped(outputs[name], exact)
        if found.shape != exact.shape:
            raise _wrong(what, f"'{name}' has the shape {found.shape}, not {exact.shape}")
        scores = holds_scores(truth.contract, name, list(truth.exact))
        agreement = compare(found, exact, decisions=scores)
        gates = check(golden_limits(truth.tolerances[name]), agreement, found, exact)
        verdict = judge(f"'{name}'", gates)
        if verdict.outcome != "pass":
            raise _wrong(what, verdict.reasons[0].rstrip("."))


def as_shaped(outputs: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """Give outputs [N, classes, 1, 1] as [N, classes] where the others are, else as they are."""
    rows = as_rows(outputs)
    return outputs if outputs.shape == like.shape or rows is None else rows


def prove(draft: Draft, truth: Truth, batches: tuple[int, ...]) -> tuple[Outputs, dict[str, float]]:
    """Run a draft at several batch sizes and hold all answers against the truth.

    Returns:
        What it answers at the first batch size, and 16 times the largest error of each output over
        all of them.

    Raises:
        ModelError: ONNX Runtime refuses it, or it answers something else.
    """
    first: Outputs = {}
    allowed: dict[str, float] = {}
    with _located(draft) as variant, open_session(variant, provider="cpu") as session:
        for batch in batches:
            what = f"at batch {batch}"
            try:
                outputs = Predictor(truth.contract, variant, session, batch).run_all(truth.images)
            except (InputError, RuntimeCrashed) as error:
                # ONNX Runtime's own words are long, and begin with what matters.
                why = error.problem.partition(" Status Message:")[0].rstrip(".")
                raise _wrong(what, why) from error
            hold(truth, outputs, what)
            first = first or outputs
            for name, exact in truth.exact.items():
                allowed[name] = max(allowed.get(name, 0.0), derived_atol(outputs[name], exact))
    return first, allowed


def tells_images_apart(truth: Truth) -> bool:
    """Say whether an answer to the wrong image would be noticed.

    Images that follow one another must be answered further apart than an answer may be off, at
    least every second time, in some output.
    """
    for name, exact in truth.exact.items():
        steps = np.abs(np.diff(exact.reshape(len(exact), -1), axis=0)).max(axis=1)
        tolerance = truth.tolerances[name].atol
        if tolerance is None:
            noise = np.abs(truth.outputs[name].reshape(exact.shape) - exact).max()
            tolerance = 2 * float(noise)
        if np.mean(steps > 2 * tolerance) >= 0.5:
            return True
    return False


def _tolerance(
    draft: Draft,
    contract: InputContract,
    name: str,
    outputs: NDArray[Any],
    exact: Mapping[str, NDArray[np.float64]],
) -> Tolerance:
    if draft.precision == "fp32":
        return Tolerance(atol=derived_atol(outputs, exact[name]))
    scores = holds_scores(contract, name, list(exact))
    return quantized_tolerance(outputs, exact[name], decisions=scores, bit_exact=False)


def _refuse_two_answers(
    name: str, outputs: NDArray[Any], exact: NDArray[np.float64], least: float
) -> None:
    found = compare(outputs, exact, decisions=False)
    if outputs.dtype.kind == "f" and exact.any() and not found.sqnr_db >= least:
        raise ModelError(
            f"ONNX Runtime and the reference differ on '{name}' by {found.max_abs:.3g} "
            f"({found.sqnr_db:.1f} dB), which is more than rounding: one of them computes an "
            "operator otherwise, and nothing can be proved.",
            "`edgecnn parity FILE --runtime ort,reference` shows it on the file itself.",
        )


@contextmanager
def _located(draft: Draft) -> Iterator[Variant]:
    with temporary_file("draft.onnx", draft.content) as path:
        yield Variant("draft", draft.precision, "onnx", (str(path),), batch=draft.batch)


def _fixed(draft: Draft) -> int:
    assert draft.batch != "dynamic"
    return draft.batch


def _wrong(what: str, why: str) -> ModelError:
    return ModelError(
        f"What was made of the file does not compute what the file does, {what}: {why}.",
        "Nothing was written.",
    )
