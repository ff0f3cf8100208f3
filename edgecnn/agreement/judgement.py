"""Parity: variants against golden vectors, or variants, runtimes and files against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from edgecnn.agreement.files import plain_trial
from edgecnn.agreement.gates import Gate, Limits, check, judge, judge_all
from edgecnn.agreement.metrics import Agreement, compare, image_errors
from edgecnn.agreement.pairs import Pair, Trial, bundle_trial, file_trial, variant_trial
from edgecnn.agreement.sides import Engine, engines, told
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.disk import write_atomically
from edgecnn.errors import InputError
from edgecnn.golden import make_npz
from edgecnn.options import FP32, Options, engine_name
from edgecnn.plain import Request, existing_file, is_file_name
from edgecnn.predictor import holds_scores
from edgecnn.progress import Progress
from edgecnn.records import MaybeInfinite, MaybeNaN
from edgecnn.spec import InputContract, Verdict
from edgecnn.worker import EngineFailure, WorkerLimits

_ON_GOLDEN = "A bundle is compared on its golden vectors."


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
    error: MaybeInfinite
    answer: str
    expected_answer: str
    output: MaybeNaN
    expected_output: MaybeNaN


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
        precision: What float32 operators computed in, as the runtime reports it.
        options: The runtime's own options that were given.
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
    # A report of version 1 has none of these.
    precision: str = FP32
    options: dict[str, str] = field(default_factory=dict)

    @property
    def engine(self) -> str:
        """Runtime, provider and how it computed, for people."""
        return engine_name(self.runtime, self.provider, self.precision, self.options)


@dataclass(frozen=True)
class ParityReport:
    """What was compared, and whether it agrees.

    Attributes:
        inputs: `golden vectors`; of plain files `random inputs`, `no inputs` or the name of the
            user's file.
        seed: Seed of random inputs; None for others.
        images: How many inputs there were.
        comparisons: One for each pair and output.
        measured: SHA-256 of every file that was measured, by name.
        verdict: The worst of the comparisons' verdicts, with its reasons; no better than
            `inconclusive` where an engine failed.
        notes: What should be known of the comparison, in whole sentences.
        failures: What has no answer, because its engine crashed or hung.
    """

    KIND: ClassVar[str] = "parity"
    VERSION: ClassVar[int] = 2

    inputs: str
    seed: int | None
    images: int
    comparisons: tuple[Comparison, ...]
    measured: dict[str, str]
    verdict: Verdict
    notes: tuple[str, ...] = ()
    # A report of version 1 has none of these.
    failures: tuple[EngineFailure, ...] = ()


def parity(
    model: Bundle | Path | str,
    variants: Sequence[str] | None = None,
    against: Bundle | Path | str | None = None,
    *,
    runtime: str | Sequence[str] = "ort",
    provider: str | Sequence[str] | None = None,
    threads: int | None = None,
    options: Options | None = None,
    batch_size: int | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    worst: int = 3,
    seed: int = 0,
    inputs: Path | str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    save_outputs: Path | str | None = None,
    time_limit: float | None = None,
    memory_limit: int | None = None,
    progress: Progress | None = None,
) -> ParityReport:
    """Say whether models answer the same.

    A bundle's variants are held against its golden vectors, and each against what it answered
    itself when it was made; with several runtimes or providers also against the first of them.
    With `against`, they are held against another variant, bundle or ONNX file on the same images.
    Two plain ONNX files, or one on several runtimes, are compared on inputs as they are.

    Args:
        model: A bundle, its folder, or an ONNX file.
        variants: Variants of the bundle; all of them by default.
        against: A variant's name, another bundle (its variants of the same names) or an ONNX file.
            A file may be held against a bundle, which means its golden vectors.
        runtime: One runtime or several, by name or path.
        provider: One provider or several; each runtime is run on each.
        threads: Threads within an operator; by default the cores that this process may use.
        options: The runtimes' own options. One for all of several is named as it is, one for one
            of them with its runtime, such as `openvino:precision`.
        batch_size: Images in one run; by default what fits into 1 MiB.
        atol: With `rtol`, allows an error of `atol + rtol * |expected|` instead of the tolerances
            that were derived from float64.
        rtol: As above.
        worst: How many of the worst images to list for each comparison.
        seed: Seed of random inputs.
        inputs: For plain files: an npz file with an array for each input; random ones by default.
        input_shapes: For plain files: shapes of inputs with open sizes, by name.
        save_outputs: Where to write inputs and all outputs, as an npz file.
        time_limit: Seconds that an engine may take to open a model, and for each run; 120 by
            default. With a limit every engine runs in a process of its own, otherwise all but ONNX
            Runtime on the CPU and the reference.
        memory_limit: Bytes that a model may take there beyond Python and the engine.
        progress: Called with what is run and the share (0 to 1) that is behind.

    Raises:
        InputError: Something cannot be compared, or a bundle or file cannot be used.
        UnavailableError: A runtime, provider or precision is not to be had here.
        RuntimeCrashed: Engines crashed, and nothing is left to compare; if only some did, the
            report says so.
    """
    given = _given_limits(atol, rtol)
    opened = _model(model)
    limits = WorkerLimits.of(time_limit, memory_limit)
    places = engines(runtime, provider, threads, batch_size, options=options, limits=limits)
    if progress:
        sessions = _sessions(opened, variants, len(places), both=against is not None)
        places = told(places, sessions, progress)
    request = Request(None if inputs is None else Path(inputs), input_shapes or {}, seed)
    trial = _trial(opened, variants, against, places, request, derive=given is None)
    if trial.failures and not trial.pairs:
        raise trial.failures[0].error()
    if save_outputs is not None:
        write_atomically(Path(save_outputs), make_npz(trial.arrays))
    comparisons = tuple(judge_pair(pair, given, trial.contract, worst) for pair in trial.pairs)
    return ParityReport(
        trial.inputs,
        trial.seed,
        trial.images,
        comparisons,
        trial.measured,
        judge_all([*(each.verdict for each in comparisons), *map(_unanswered, trial.failures)]),
        trial.notes,
        trial.failures,
    )


def _unanswered(failure: EngineFailure) -> Verdict:
    return Verdict("inconclusive", (failure.problem,))


def _sessions(
    model: Bundle | Path, variants: Sequence[str] | None, engines: int, *, both: bool
) -> int:
    names = (variants or model.manifest.variants) if isinstance(model, Bundle) else [model]
    return len(names) * engines * (1 + both)


def _trial(
    model: Bundle | Path,
    variants: Sequence[str] | None,
    against: Bundle | Path | str | None,
    engines: Sequence[Engine],
    request: Request,
    *,
    derive: bool,
) -> Trial:
    if isinstance(model, Bundle):
        return _bundle_trial(model, variants, against, engines, request)
    if variants:
        raise InputError(f"{model} is a file and has no variants.", "Leave --variant out.")
    second = None if against is None else _model(against)
    if isinstance(second, Bundle):
        request.refuse_for(_ON_GOLDEN)
        return file_trial(model, second, engines)
    if second is None and len(engines) == 1:
        raise InputError(
            f"There is nothing to compare {model} with.",
            f"Name another file or a bundle, or use `edgecnn parity {model} "
            "--runtime ort,reference`.",
        )
    paths = [path for path in (model, second) if path]
    return plain_trial(paths, engines, request, derive=derive)


def _bundle_trial(
    bundle: Bundle,
    variants: Sequence[str] | None,
    against: Bundle | Path | str | None,
    engines: Sequence[Engine],
    request: Request,
) -> Trial:
    request.refuse_for(_ON_GOLDEN)
    if against is None:
        return bundle_trial(bundle, variants, engines)
    named = against in [variant.name for variant in bundle.manifest.variants]
    return variant_trial(bundle, variants, engines, str(against) if named else _model(against))


def _model(model: Bundle | Path | str) -> Bundle | Path:
    if isinstance(model, Bundle):
        return model
    path = Path(model)
    return existing_file(path) if is_file_name(path) else open_bundle(path)


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
    name = f"{which} on {side.engine} against {pair.against}"
    verdict = judge(name, gates)
    if pair.doubt and verdict.outcome == "fail" and not given and not agreement.not_finite:
        reasons = tuple(f"{reason.rstrip('.')}; but {pair.doubt}." for reason in verdict.reasons)
        verdict = Verdict("inconclusive", reasons)
    return Comparison(
        side.name,
        side.runtime,
        side.provider,
        pair.against,
        pair.output,
        agreement,
        gates,
        _worst(pair, contract if decisions else None, worst),
        verdict,
        side.precision,
        dict(side.options),
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
