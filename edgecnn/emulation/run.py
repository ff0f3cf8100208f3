"""`edgecnn parity --as-cpu`, step by step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.agreement.gates import judge_all
from edgecnn.agreement.judgement import judge_pair
from edgecnn.agreement.pairs import golden_pairs
from edgecnn.agreement.sides import Engine, Side, variant_side
from edgecnn.bundle import GOLDEN, Bundle, open_bundle
from edgecnn.emulation.qemu import Emulator, emulator_for
from edgecnn.emulation.report import EmulatedVariant, EmulationReport, judge
from edgecnn.errors import EdgeCNNError, InputError, RuntimeCrashed
from edgecnn.golden import Golden, expected, golden
from edgecnn.predictor import Predictor, holds_scores
from edgecnn.progress import Progress, tell_nobody
from edgecnn.worker import open_in_worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecnn.spec import InputContract, Variant

Outputs = dict[str, "NDArray[Any]"]

# Of opening a session, and of each batch: what takes a second natively takes a minute there.
LIMIT_SECONDS = 600.0
_FORMAT = "onnx"


def parity_as(
    bundle: Bundle | Path | str,
    cpus: Sequence[str],
    variants: Sequence[str] | None = None,
    *,
    threads: int | None = None,
    limit_seconds: float = LIMIT_SECONDS,
    progress: Progress | None = None,
) -> EmulationReport:
    """Run a bundle's golden vectors on other CPUs, emulated, and hold them to the same limits.

    Each variant is run by ONNX Runtime in a process of its own under qemu-user, and here. Its
    outputs there are held against the golden ones and against what it answered when it was made:
    bit for bit where that was promised.

    Args:
        bundle: A bundle or its folder.
        cpus: Names of CPUs, such as `haswell`.
        variants: Variants to run; all ONNX variants by default.
        threads: Threads within an operator; by default the cores that this process may use.
        limit_seconds: Longest wait for a session to open, or for a batch's answer.
        progress: Called with what is run and the share (0 to 1) that is behind.

    Raises:
        InputError: No CPU is called so, qemu has none such, or a variant cannot be run.
        UnavailableError: qemu is missing, or this Python is made for another kind of CPU.
        BundleError: The bundle, a variant or its golden vectors are missing or damaged.
    """
    emulators = [emulator_for(name) for name in dict.fromkeys(cpus)]
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    chosen, vectors, tell = _chosen(opened, variants), golden(opened), progress or tell_nobody
    found, measured = [], {GOLDEN: opened.files[GOLDEN].sha256}
    pairs = list(product(chosen, emulators))
    for done, (variant, emulator) in enumerate(pairs):
        tell(f"Running {variant.name} as {emulator.cpu.name}", done / len(pairs))
        here = variant_side(opened, variant.name, Engine(threads=threads), vectors.images)
        measured |= here.measured
        found.append(_run(opened, here, emulator, vectors, threads, limit_seconds))
    return EmulationReport(
        bundle=str(opened.folder),
        inputs=vectors.what,
        images=len(vectors.images),
        variants=tuple(found),
        measured=measured,
        verdict=judge(tuple(found)),
    )


def outputs_as(
    emulator: Emulator,
    contract: InputContract,
    located: Variant,
    images: NDArray[np.uint8],
    *,
    threads: int | None = None,
    limit_seconds: float = LIMIT_SECONDS,
) -> Outputs:
    """Run a located variant on images, on an emulated CPU; every output by its name.

    Raises:
        RuntimeCrashed: The process crashed or hung.
        ModelError: ONNX Runtime refuses the model there.
    """
    with (
        open_in_worker(
            located,
            threads=threads,
            limit=limit_seconds,
            launcher=emulator.launcher,
            environment=emulator.environment,
        ) as session,
        Predictor(contract, located, session) as predictor,
    ):
        return predictor.run_all(images)


def _chosen(bundle: Bundle, names: Sequence[str] | None) -> list[Variant]:
    if names:
        chosen = [bundle.variant(name) for name in names]
        for variant in chosen:
            if variant.format != _FORMAT:
                raise InputError(
                    f"'{variant.name}' is {variant.format}; only ONNX is run on another CPU.",
                    "Name an ONNX variant with --variant.",
                )
        return chosen
    chosen = [each for each in bundle.manifest.variants if each.format == _FORMAT]
    if not chosen:
        raise InputError(
            f"{bundle.folder} has no ONNX variant.",
            f"Make one with `edgecnn export {bundle.folder}`.",
        )
    return chosen


def _run(
    bundle: Bundle,
    here: Side,
    emulator: Emulator,
    vectors: Golden,
    threads: int | None,
    limit_seconds: float,
) -> EmulatedVariant:
    name, contract = here.variant.name, bundle.manifest.contract
    row = EmulatedVariant(
        cpu=emulator.cpu.name,
        model=emulator.cpu.emulated,
        variant=name,
        promised=bool(here.variant.tolerances)
        and all(each.bit_exact for each in here.variant.tolerances.values()),
        outcome="pass",
    )
    began = time.monotonic()
    try:
        outputs = outputs_as(
            emulator,
            contract,
            bundle.locate(name),
            vectors.images,
            threads=threads,
            limit_seconds=limit_seconds,
        )
    except (RuntimeCrashed, InputError) as error:
        return _failed(row, error)
    there = replace(here, name=f"{name} as {emulator.cpu.emulated}", outputs=outputs)
    row = replace(row, seconds=time.monotonic() - began)
    return _judged(row, bundle, here, there, vectors)


def _failed(row: EmulatedVariant, error: EdgeCNNError) -> EmulatedVariant:
    crashed = isinstance(error, RuntimeCrashed)
    return replace(
        row,
        outcome="crashed" if crashed else "refused",
        problem=f"'{row.variant}' as {row.model}: {error.problem}",
        remedy="Name other CPUs or variants." if crashed else error.remedy,
    )


def _judged(
    row: EmulatedVariant, bundle: Bundle, here: Side, there: Side, vectors: Golden
) -> EmulatedVariant:
    contract, variant = bundle.manifest.contract, here.variant
    pairs = golden_pairs(bundle, there, vectors)
    comparisons = tuple(judge_pair(pair, None, contract, worst=1) for pair in pairs)
    verdict = judge_all([each.verdict for each in comparisons])
    own = None if variant.golden is None else expected(bundle, variant).outputs
    return replace(
        row,
        outcome=verdict.outcome,
        equal_here=_equal(there.outputs, here.outputs),
        equal_expected=None if own is None else _equal(there.outputs, own),
        other_labels=_other_labels(contract, there.outputs, here.outputs),
        largest_error=_largest_error(there.outputs, here.outputs),
        comparisons=comparisons,
        problem="\n".join(verdict.reasons),
        remedy=_remedy(row, bundle, variant, verdict.outcome),
    )


def _remedy(row: EmulatedVariant, bundle: Bundle, variant: Variant, outcome: str) -> str:
    if outcome == "pass":
        return ""
    if outcome == "inconclusive":
        return "Make the variant anew with `edgecnn export`."
    if variant.precision == "int8":
        return (
            f"Quantize it for that CPU: `edgecnn quantize {bundle.folder} --cpu {row.cpu}`; or "
            "keep fp32 there."
        )
    return f"Do not rely on '{variant.name}' on such a CPU."


def _equal(found: Outputs, wanted: Outputs) -> int:
    """Count the images with every output equal bit for bit."""
    rows = [
        [a.tobytes() == b.tobytes() for a, b in zip(found[name], wanted[name], strict=True)]
        for name in found
    ]
    return sum(map(all, zip(*rows, strict=True)))


def _other_labels(contract: InputContract, found: Outputs, wanted: Outputs) -> int | None:
    for name, output in found.items():
        if holds_scores(contract, name, list(found)):
            return int(np.count_nonzero(output.argmax(axis=-1) != wanted[name].argmax(axis=-1)))
    return None


def _largest_error(found: Outputs, wanted: Outputs) -> float:
    errors = [
        float(np.abs(output.astype(np.float64) - wanted[name]).max(initial=0.0))
        for name, output in found.items()
    ]
    worst = max(errors, default=0.0)
    return worst if np.isfinite(worst) else float("inf")
