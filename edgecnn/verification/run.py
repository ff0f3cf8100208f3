"""`edgecnn verify`, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edgecnn.agreement import Golden, golden
from edgecnn.agreement.gates import judge_all
from edgecnn.agreement.judgement import judge_pair
from edgecnn.agreement.pairs import Pair, golden_pairs
from edgecnn.agreement.sides import Engine, Side, engines, readers_of, variant_side
from edgecnn.bundle import GOLDEN, Bundle, open_bundle
from edgecnn.errors import BundleError, InputError, ModelError, RuntimeCrashed, UnavailableError
from edgecnn.formats import formats_of, readable, unread, usual_reader
from edgecnn.predictor import scores_output
from edgecnn.progress import Progress, tell_nobody
from edgecnn.runtime import load_runtime
from edgecnn.spec import InputContract, Variant
from edgecnn.verification.files import check_files, needed_files, notes
from edgecnn.verification.report import (
    COPY,
    FileCheck,
    Outcome,
    VariantCheck,
    VerifyReport,
    judge,
)

_ANY = ""  # the runtime that usually reads a variant's format


def verify(
    bundle: Bundle | Path | str,
    variants: Sequence[str] | None = None,
    *,
    runtime: str | Sequence[str] | None = None,
    provider: str | Sequence[str] | None = None,
    threads: int | None = None,
    batch_size: int | None = None,
    run: bool = True,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check a bundle's files, its lineage, and what it answers on this machine.

    Every file is held against its digest, every variant against what it was made from. Then each
    variant is run on the golden images, in a process of its own, and held to its tolerances:
    against the float64 outputs, and against what it answered itself when it was made.

    Args:
        bundle: A bundle or its folder; its manifest is read anew.
        variants: Variants to check, with the files that they need; all of the bundle by default.
        runtime: One runtime or several, by name or path; by default each variant is run on the
            one that usually reads its format: `ort`, if that does.
        provider: One provider or several; each runtime is run on each.
        threads: Threads within an operator; by default the cores that this process may use.
        batch_size: Images in one run; by default what fits into 1 MiB.
        run: Run the golden vectors; without it no runtime is needed.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        BundleError: There is no such bundle or variant, its manifest is damaged, or another process
            changes it meanwhile.
        InputError: There is no such runtime, or none of those named reads a variant.
    """
    where = engines(runtime or _ANY, provider, threads, batch_size, apart=True) if run else ()
    for engine in where if runtime else ():
        load_runtime(engine.runtime)
    opened = open_bundle(bundle.folder if isinstance(bundle, Bundle) else bundle)
    chosen = tuple(opened.variant(name) for name in variants or ()) or opened.manifest.variants
    if where and runtime and not variants:
        readable(chosen, *dict.fromkeys(engine.runtime for engine in where))
    tell = progress or tell_nobody
    files = tuple(check_files(opened, needed_files(opened, chosen, whole=not variants), tell))
    damaged = {file.name for file in files if file.problem}
    if damaged:
        opened.refuse_changed()
    vectors, contradictions = _vectors(opened, damaged)
    pairs = [pair for each in chosen for pair in _places(each, where, named=bool(variants))]
    checks = tuple(_check_variants(opened, pairs, vectors, damaged, tell))
    if run and not chosen:
        checks = (_nothing(opened),)
    ran = vectors if run and chosen else None
    return VerifyReport(
        bundle=str(opened.folder),
        digest=opened.manifest.digest,
        inputs=ran.what if ran else "",
        images=len(ran.images) if ran else 0,
        files=files,
        contradictions=contradictions,
        variants=checks,
        notes=tuple(_notes(opened, files, variants, where)),
        measured={file.name: file.sha256 for file in files if file.sha256},
        verdict=judge(files, contradictions, checks),
    )


def _notes(
    bundle: Bundle,
    files: Sequence[FileCheck],
    variants: Sequence[str] | None,
    where: Sequence[Engine],
) -> Iterator[str]:
    if variants:
        yield f"Only the files of {', '.join(variants)} and the golden vectors were checked."
    elif where and where[0].runtime != _ANY:
        yield from unread(bundle.manifest.variants, *dict.fromkeys(each.runtime for each in where))
    yield from notes(bundle, files)


def _vectors(bundle: Bundle, damaged: set[str]) -> tuple[Golden | None, tuple[str, ...]]:
    if GOLDEN not in bundle.files or GOLDEN in damaged:
        return None, ()
    try:
        vectors = golden(bundle)
    except BundleError as error:
        return None, (error.problem,)
    return vectors, tuple(f"{bundle.folder}: {text}" for text in _contradictions(bundle, vectors))


def _contradictions(bundle: Bundle, vectors: Golden) -> Iterator[str]:
    import numpy as np

    contract, names = bundle.manifest.contract, list(vectors.outputs)
    for name, output in vectors.outputs.items():
        if not np.isfinite(output).all():
            yield f"The golden output '{name}' holds NaN or infinity."
    for variant in bundle.manifest.variants:
        for name in sorted(variant.tolerances.keys() - names):
            yield f"'{variant.name}' has a tolerance for '{name}', which is no golden output."
    classes = len(contract.labels)
    if classes and not -1 <= vectors.labels.min() <= vectors.labels.max() < classes:
        yield f"The golden labels go beyond the {classes} classes of the contract."
    try:
        scores = vectors.outputs[scores_output(contract, names)]
    except ModelError:
        yield f"The contract names the output '{contract.output}', which is no golden output."
        return
    if classes and contract.output_kind != "other" and scores.shape[1:] != (classes,):
        shape = list(scores.shape[1:])
        yield f"The contract names {classes} classes, but the golden outputs are {shape} per image."


def _places(
    variant: Variant, where: Sequence[Engine], *, named: bool
) -> Iterator[tuple[Variant, Engine | None]]:
    """Give the engines that a variant is run on; None where nothing is to be run."""
    if not where:
        yield variant, None
    elif where[0].runtime == _ANY:
        usual = usual_reader(variant.format) or "ort"
        yield from ((variant, replace(engine, runtime=usual)) for engine in where)
    else:
        if named:
            readers_of(variant, where)
        fitting = (each for each in where if variant.format in formats_of(each.runtime))
        yield from ((variant, engine) for engine in fitting)


def _nothing(bundle: Bundle) -> VariantCheck:
    text = f"{bundle.folder} has no variant yet, so nothing was run."
    remedy = f"Make one with `edgecnn export {bundle.folder}`."
    return VariantCheck("", "", "", "not run", (), text, remedy)


def _check_variants(
    bundle: Bundle,
    pairs: Sequence[tuple[Variant, Engine | None]],
    vectors: Golden | None,
    damaged: set[str],
    tell: Progress,
) -> Iterator[VariantCheck]:
    for done, (variant, engine) in enumerate(pairs):
        tell(f"Running {variant.name}", 0.5 + 0.5 * done / len(pairs))
        yield _check_variant(bundle, variant, engine, vectors, damaged)


def _check_variant(
    bundle: Bundle,
    variant: Variant,
    engine: Engine | None,
    vectors: Golden | None,
    damaged: set[str],
) -> VariantCheck:
    name, runtime = variant.name, engine.runtime if engine else ""
    for file in (*variant.files, variant.golden):
        if file in damaged:
            text = f"'{name}' was not run: {file} is not what was written."
            return VariantCheck(name, runtime, "", "damaged", (), text, COPY)
    try:
        bundle.refuse_stale(variant)
    except BundleError as error:
        return VariantCheck(name, runtime, "", "stale", (), error.problem, error.remedy)
    if engine is None:
        return VariantCheck(name, "", "", "not run")
    if vectors is None:
        text = f"'{name}' was not run, for there are no golden vectors that can be used."
        return VariantCheck(name, runtime, "", "not run", (), text, COPY)
    return _run_variant(bundle, name, engine, vectors)


def _run_variant(bundle: Bundle, name: str, engine: Engine, vectors: Golden) -> VariantCheck:
    try:
        side = variant_side(bundle, name, engine, vectors.images)
        pairs = list(golden_pairs(bundle, side, vectors))
    except UnavailableError as error:
        what = (error.problem, error.remedy, error.requirements)
        return VariantCheck(name, engine.runtime, "", "unavailable", (), *what)
    except (RuntimeCrashed, InputError) as error:
        bundle.refuse_changed()
        text = f"'{name}': {error.problem}"
        return VariantCheck(name, engine.runtime, "", _outcome(error), (), text, error.remedy)
    return _judge_variant(side, pairs, bundle.manifest.contract)


def _judge_variant(side: Side, pairs: Sequence[Pair], contract: InputContract) -> VariantCheck:
    where = (side.name, side.runtime, side.provider)
    try:
        found = tuple(judge_pair(pair, None, contract, worst=1) for pair in pairs)
    except InputError as error:  # outputs of other shapes
        text = f"'{side.name}': {error.problem}"
        return VariantCheck(*where, "fail", (), text, _REMEDIES["fail"])
    verdict = judge_all([each.verdict for each in found])
    text, remedy = "\n".join(verdict.reasons), _REMEDIES[verdict.outcome]
    return VariantCheck(*where, verdict.outcome, found, text, remedy)


def _outcome(error: RuntimeCrashed | InputError) -> Outcome:
    if isinstance(error, RuntimeCrashed):
        return "crashed"
    return "damaged" if isinstance(error, BundleError) else "refused"


_REMEDIES = {
    "pass": "",
    "fail": "Look with `edgecnn parity`; try another --runtime, and do not rely on this machine.",
    "inconclusive": "Make the variant anew with `edgecnn export`.",
}
