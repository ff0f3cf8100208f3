"""Proof that a converted variant answers what the golden vectors say, before it gets its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgecnn.agreement import Golden, compare, derived_atol, quantized_tolerance
from edgecnn.agreement.gates import check, golden_limits, judge
from edgecnn.converting.report import ConvertedOutput
from edgecnn.errors import EdgeCNNError, ModelError
from edgecnn.exporting.half import LEAST_SQNR_DB
from edgecnn.graph.limits import FIRST_LOAD_BYTES, WEIGHT_COPIES
from edgecnn.predictor import Predictor, holds_scores
from edgecnn.spec import InputContract, Tolerance, Variant
from edgecnn.worker import open_in_worker

Outputs = dict[str, NDArray[Any]]


def answers(
    variant: Variant, runtime: str, contract: InputContract, vectors: Golden, threads: int | None
) -> tuple[Outputs, str]:
    """Run a located variant on the golden images, in a process of its own.

    Returns:
        Every output by its name, and the provider as the runtime reports it.

    Raises:
        ModelError: Its runtime refuses it.
        RuntimeCrashed: The runtime crashed or hung.
    """
    size = sum(Path(file).stat().st_size for file in variant.files)
    try:
        with (
            open_in_worker(
                variant,
                runtime=runtime,
                threads=threads,
                memory_limit=FIRST_LOAD_BYTES + WEIGHT_COPIES * size,
            ) as session,
            Predictor(contract, variant, session) as predictor,
        ):
            return predictor.run_all(vectors.images), session.provider
    except EdgeCNNError as error:
        raise type(error)(
            f"'{variant.name}' was made, but cannot be used: {error.problem}",
            f"Nothing was written. {error.remedy}".strip(),
        ) from error


def judge_outputs(
    variant: Variant, source: Variant, contract: InputContract, vectors: Golden, outputs: Outputs
) -> dict[str, ConvertedOutput]:
    """Hold what a converted variant answers to the golden outputs.

    In the source's own precision it must be as near as the source must be; weights rounded to fp16
    must leave what rounding alone leaves.

    Raises:
        ModelError: It answers something else.
    """
    if list(outputs) != list(vectors.outputs):
        raise _refusal(
            variant, f"it has the outputs {', '.join(outputs)}, not {', '.join(vectors.outputs)}"
        )
    allowed = _allowed(variant, source)
    return {
        name: _judge(variant, contract, name, outputs, vectors, allowed.get(name, Tolerance()))
        for name in outputs
    }


def _allowed(variant: Variant, source: Variant) -> Mapping[str, Tolerance]:
    if variant.precision == source.precision:
        return source.tolerances
    return {name: Tolerance(sqnr_db=LEAST_SQNR_DB) for name in source.tolerances}


def _judge(
    variant: Variant,
    contract: InputContract,
    name: str,
    outputs: Outputs,
    vectors: Golden,
    allowed: Tolerance,
) -> ConvertedOutput:
    found, exact = outputs[name], vectors.outputs[name]
    if found.shape != exact.shape:
        raise _refusal(
            variant, f"'{name}' has the shape {list(found.shape[1:])}, not {list(exact.shape[1:])}"
        )
    decisions = holds_scores(contract, name, list(outputs))
    agreement = compare(found, exact, decisions=decisions)
    gates = check(golden_limits(allowed), agreement, found, exact)
    verdict = judge(f"'{name}' against golden", gates)
    if verdict.outcome != "pass":
        raise _refusal(variant, "; ".join(reason.rstrip(".") for reason in verdict.reasons))
    tolerance = Tolerance(atol=derived_atol(found, exact))
    if variant.precision != "fp32":
        tolerance = quantized_tolerance(found, exact, decisions=decisions, bit_exact=False)
    return ConvertedOutput(agreement, gates, tolerance)


def _refusal(variant: Variant, why: str) -> ModelError:
    return ModelError(
        f"'{variant.name}' was made, but does not answer what its source does: {why}.",
        "Nothing was written.",
    )
