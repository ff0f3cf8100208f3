"""Parity: variants against golden vectors, or variants, runtimes and files against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from edgecnn.agreement.gates import Gate, Limits, check, judge, judge_all
from edgecnn.agreement.metrics import Agreement, compare, image_errors
from edgecnn.agreement.pairs import (
    Pair,
    Trial,
    bundle_trial,
    file_trial,
    random_trial,
    variant_trial,
)
from edgecnn.agreement.sides import Engine
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.disk import write_atomically
from edgecnn.errors import InputError
from edgecnn.golden import make_npz
from edgecnn.predictor import holds_scores
from edgecnn.spec import InputContract, Verdict


@dataclass(frozen=True)
class WorstImage:
    """An image with one of the largest errors.

    Attributes:
        index: Its place among the inputs.
        error: Its largest absolute error.
        answer: The likeliest class; empty where outputs are no classes.
        expected_answer: The class that was expected.
        output: The value that is farthest off.
        expected_output: What was expected there.
    """

    index: int
    error: float
    answer: str
    expected_answer: str
    output: float
    expected_output: float


@dataclass(frozen=True)
class Comparison:
    """One output of one side held against what was expected of it.

    Attributes:
        name: Variant or file that was run.
        runtime: The runtime that ran it.
        provider: Where it computed, as the runtime reports it.
        against: What it was held against: `golden`, `own golden` (what the variant answered when
            it was made), or another variant, file or engine.
        output: Name of the output.
        agreement: What was measured.
        gates: What was asked, and what was found.
        worst: The images with the largest errors, the worst first.
        verdict: `pass`, `fail` or `inconclusive`, with its reasons.
    """

    name: str
    runtime: str
    provider: str
    against: str
    output: str
    agreement: Agreement
    gates: tuple[Gate, ...]
    worst: tuple[WorstImage, ...]
    verdict: Verdict


@dataclass(frozen=True)
class ParityReport:
    """What was compared, and whether it agrees.

    Attributes:
        inputs: `golden vectors`, or `random inputs` where there are none.
        seed: Seed of random inputs; None for golden vectors.
        images: How many inputs there were.
        comparisons: One for each pair and output.
        measured: SHA-256 of every file that was measured, by name.
        verdict: The worst of the comparisons' verdicts, with its reasons.
    """

    inputs: str
    seed: int | None
    images: int
    comparisons: tuple[Comparison, ...]
    measured: dict[str, str]
    verdict: Verdict


def parity(
    model: Bundle | Path | str,
    variants: Sequence[str] | None = None,
    against: Bundle | Path | str | None = None,
    *,
    runtime: str | Sequence[str] = "ort",
    provider: str | Sequence[str] | None = None,
    threads: int | None = None,
    batch_size: int | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    worst: int = 3,
    seed: int = 0,
    save_outputs: Path | str | None = None,
) -> ParityReport:
    """Say whether models answer the same.

    A bundle's variants are held against its golden vectors, and each against what it answered
    itself when it was made; with several runtimes or providers also against the first of them.
    With `against`, they are held against another variant, bundle or ONNX file on the same images.
    Two plain ONNX files, or one on several runtimes, are compared on random inputs.

    Args:
        model: A bundle, its folder, or an ONNX file.
        variants: Variants of the bundle; all of them by default.
        against: A variant's name, another bundle (its variants of the same names) or an ONNX file.
            A file may be held against a bundle, which means its golden vectors.
        runtime: One runtime or several, by name or path.
        provider: One provider or several; each runtime is run on each.
        threads: Threads within an operator; by default the cores that this process may use.
        batch_size: Images in one run; by default what fits into 1 MiB.
        atol: With `rtol`, allows an error of `atol + rtol * |expected|` instead of the tolerances
            that were derived from float64.
        rtol: As above.
        worst: How many of the worst images to list for each comparison.
        seed: Seed of random inputs.
        save_outputs: Where to write inputs and all outputs, as an npz file.

    Raises:
        InputError: Something cannot be compared, or a bundle or file cannot be used.
        UnavailableError: A runtime or provider is not to be had here.
    """
    given = _given_limits(atol, rtol)
    engines = _engines(runtime, provider, threads, batch_size)
    trial = _trial(_model(model), variants, against, engines, seed)
    if save_outputs is not None:
        write_atomically(Path(save_outputs), make_npz(trial.arrays))
    comparisons = tuple(judge_pair(pair, given, trial.contract, worst) for pair in trial.pairs)
    return ParityReport(
        trial.inputs,
        seed if trial.contract is None else None,
        trial.images,
        comparisons,
        trial.measured,
        judge_all([comparison.verdict for comparison in comparisons]),
    )


def _trial(
    model: Bundle | Path,
    variants: Sequence[str] | None,
    against: Bundle | Path | str | None,
    engines: Sequence[Engine],
    seed: int,
) -> Trial:
    if isinstance(model, Bundle):
        if against is None:
            return bundle_trial(model, variants, engines)
        named = against in [variant.name for variant in model.manifest.variants]
        other = str(against) if named else _model(against)
        return variant_trial(model, variants, engines, other)
    if variants:
        raise InputError(f"{model} is a file and has no variants.", "Leave --variant out.")
    second = None if against is None else _model(against)
    if isinstance(second, Bundle):
        return file_trial(model, second, engines)
    if second is None and len(engines) == 1:
        raise InputError(
            f"There is nothing to compare {model} with.",
            f"Name another file or a bundle, or use `edgecnn parity {model} "
            "--runtime ort,reference`.",
        )
    return random_trial(model, second, engines, seed)


def _model(model: Bundle | Path | str) -> Bundle | Path:
    if isinstance(model, Bundle):
        return model
    path = Path(model)
    if path.is_file():
        return path
    if path.suffix == ".onnx":
        raise InputError(f"There is no file {path}.", "Check the path.")
    return open_bundle(path)


def _engines(
    runtime: str | Sequence[str],
    provider: str | Sequence[str] | None,
    threads: int | None,
    batch_size: int | None,
) -> tuple[Engine, ...]:
    runtimes = (runtime,) if isinstance(runtime, str) else tuple(runtime)
    providers: Sequence[str | None]
    providers = (provider,) if provider is None or isinstance(provider, str) else tuple(provider)
    return tuple(Engine(*pair, threads, batch_size) for pair in product(runtimes, providers))


def _given_limits(atol: float | None, rtol: float | None) -> Limits | None:
    for name, value in (("atol", atol), ("rtol", rtol)):
        if value is not None and not 0 <= value < float("inf"):
            raise InputError(f"{name}={value} is no tolerance.", f"Use --{name} 0 or more.")
    return None if atol is None and rtol is None else Limits(atol=atol or 0.0, rtol=rtol or 0.0)


def judge_pair(
    pair: Pair, given: Limits | None, contract: InputContract | None, worst: int
) -> Comparison:
    """Hold one output of one side against what was expected.

    Args:
        pair: The output, what was expected, and within which limits.
        given: Limits that replace them.
        contract: Says which output holds the scores of which classes; None for plain files.
        worst: How many of the worst images to list.
    """
    outputs, side = pair.side.outputs[pair.output], pair.side
    decisions = contract is not None and holds_scores(contract, pair.output, list(side.outputs))
    agreement = compare(outputs, pair.expected, decisions=decisions)
    gates = check(given or pair.limits, agreement, outputs, pair.expected)
    which = f"'{pair.output}' of {side.name}" if len(side.outputs) > 1 else side.name
    name = f"{which} on {side.runtime}/{side.provider} against {pair.against}"
    return Comparison(
        side.name,
        side.runtime,
        side.provider,
        pair.against,
        pair.output,
        agreement,
        gates,
        _worst(pair, contract if decisions else None, worst),
        judge(name, gates),
    )


def _worst(pair: Pair, contract: InputContract | None, count: int) -> tuple[WorstImage, ...]:
    outputs = pair.side.outputs[pair.output]
    errors = image_errors(outputs, pair.expected)
    order = [i for i in np.argsort(-errors, kind="stable")[:count].tolist() if errors[i] > 0]
    return tuple(_worst_image(pair, contract, index, float(errors[index])) for index in order)


def _worst_image(
    pair: Pair, contract: InputContract | None, index: int, error: float
) -> WorstImage:
    output = pair.side.outputs[pair.output][index].astype(np.float64).ravel()
    want = pair.expected[index].astype(np.float64).ravel()
    with np.errstate(invalid="ignore"):
        distance = np.abs(output - want)
    place = int(np.where(np.isnan(distance), np.inf, distance).argmax())
    return WorstImage(
        index,
        error,
        _answer(output, contract),
        _answer(want, contract),
        float(output[place]),
        float(want[place]),
    )


def _answer(
    scores: np.ndarray[tuple[int], np.dtype[np.float64]], contract: InputContract | None
) -> str:
    if contract is None or not np.isfinite(scores).all():
        return ""
    best = int(scores.argmax())
    return contract.labels[best] if best < len(contract.labels) else str(best)
