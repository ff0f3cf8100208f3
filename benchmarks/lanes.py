"""The ways to run a bundle that `runtimes.py` measures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bare import BareWorker

import edgecnn
from edgecnn import shelves
from edgecnn.benchmark.engine import Place, Subject
from edgecnn.benchmark.inputs import bundle_images, make_batches
from edgecnn.bundle import Bundle
from edgecnn.errors import EdgeCNNError, UnavailableError
from edgecnn.runtime import load_runtime, most_threads
from edgecnn.spec import Variant
from edgecnn.worker import Opened, Worker

NOT_COMPARED = {"reference"}
# Ways to run an engine that people know it by, beside its defaults.
SETTINGS: Mapping[str, Sequence[dict[str, str]]] = {
    "torch": ({"mode": "eager"}, {"mode": "compiled"}),
    "openvino": ({}, {"precision": "bf16"}),
}
PLAIN, TUNED = "plain", "tuned:"


@dataclass(frozen=True)
class Lane:
    """One way to run a net.

    Attributes:
        label: The runtime and its settings, for people.
        variant: Name of the variant.
        threads: Threads within an operator.
        subject: What the engine measures.
        opened: What the runtime said of itself when it was tried; None of the bare loop.
    """

    label: str
    variant: str
    threads: int
    subject: Subject
    opened: Opened | None = None


def lanes(
    bundle: Bundle, options: argparse.Namespace, left_out: dict[str, str], tuned: dict[int, Any]
) -> Iterator[Lane]:
    """Give every way to run a net here; note what is left out, and what tune says."""
    for threads in options.threads:
        yield bare_lane(bundle, threads)
        ways = list(engine_ways(bundle, threads))
        if options.tune:
            ways += tuned_ways(bundle, threads, options, left_out, tuned)
        for label, variant, place in ways:
            lane = engine_lane(bundle, label, variant, place)
            tell(f"trying {lane.subject.name}", 0)
            try:
                yield replace(lane, opened=tried(lane.subject))
            except EdgeCNNError as error:
                left_out[lane.subject.name] = error.problem


def bare_lane(bundle: Bundle, threads: int) -> Lane:
    place = Place("ort", "cpu", threads)
    subject = make_subject(bundle, name(PLAIN, "fp32", threads), bundle.locate("fp32"), place)
    return Lane(PLAIN, "fp32", threads, replace(subject, launch=BareWorker))


def engine_ways(bundle: Bundle, threads: int) -> Iterator[tuple[str, Variant, Place]]:
    """Give each runtime on the shelf with each variant that it reads, and each of its settings."""
    for runtime in shelves.runtime_names():
        adapter = load_runtime(runtime)
        most = most_threads(adapter)
        if runtime in NOT_COMPARED or (most is not None and threads > most):
            continue
        for variant in bundle.manifest.variants:
            if variant.format in adapter.FORMATS and variant.batch in ("dynamic", 1):
                for settings in SETTINGS.get(runtime, ({},)):
                    label = " ".join([runtime, *settings.values()])
                    located = bundle.locate(variant.name)
                    yield label, located, Place(runtime, None, threads, settings)


def engine_lane(bundle: Bundle, label: str, variant: Variant, place: Place) -> Lane:
    threads = place.threads or 1
    subject = make_subject(bundle, name(label, variant.name, threads), variant, place)
    return Lane(label, variant.name, threads, subject)


def name(label: str, variant: str, threads: int) -> str:
    return f"{label} {variant} on {threads}"


def make_subject(bundle: Bundle, called: str, variant: Variant, place: Place) -> Subject:
    contract, images = bundle.manifest.contract, bundle_images(bundle).pixels

    def batches(what: Variant, opened: Opened) -> Any:
        return make_batches(contract, what, opened, images, 1)

    return Subject(called, variant, partial(batches, variant), place, contract=contract)


def tried(subject: Subject) -> Opened:
    """Open it once and run it, so that what cannot be measured does not end the run.

    Raises:
        EdgeCNNError: The engine is not here, or does not take this variant.
    """
    place = subject.place
    with Worker() as worker:
        opened = worker.open(
            subject.variant,
            runtime=place.runtime,
            provider=place.provider,
            threads=place.threads,
            options=place.options,
        )
        if opened.threads != place.threads:
            raise UnavailableError(f"It computes on {opened.threads} threads.", "")
        worker.feed(subject.batches(opened))
        worker.run(1)
        return opened


def tuned_ways(
    bundle: Bundle,
    threads: int,
    options: argparse.Namespace,
    left_out: dict[str, str],
    tuned: dict[int, Any],
) -> list[tuple[str, Variant, Place]]:
    """Give what `edgecnn tune` finds on so many threads; nothing is stored in the bundle."""
    try:
        found = edgecnn.tune(
            bundle,
            threads=threads,
            max_drop=options.max_drop,
            budget=options.tune,
            store=False,
            progress=tell,
        )
    except EdgeCNNError as error:
        left_out[f"{TUNED} on {threads}"] = error.problem
        return []
    tuned[threads] = {"chosen": found.chosen, "verdict": found.verdict}
    every = {each.name: each.candidate for each in found.rows}
    if found.chosen not in every:
        left_out[f"{TUNED} on {threads}"] = found.verdict
        return []
    best = every[found.chosen]
    place = Place(best.runtime, best.provider, best.threads, best.given)
    label = " ".join([TUNED, best.runtime, *(f"{k}={v}" for k, v in best.given.items())])
    return [(label, bundle.locate(best.variant), place)]


def tell(text: str, share: float) -> None:
    print(f"\r\x1b[K{100 * share:3.0f} % {text[:90]}", end="", file=sys.stderr, flush=True)
