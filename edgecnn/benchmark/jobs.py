"""What a bench measures: variants on a bundle's images, or plain files on inputs as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from edgecnn.benchmark.engine import Batches, Place, Subject
from edgecnn.benchmark.inputs import Images, bundle_images, describe, make_batches
from edgecnn.benchmark.plan import Plan
from edgecnn.benchmark.report import Baseline
from edgecnn.bundle import Bundle
from edgecnn.errors import BundleError, InputError
from edgecnn.formats import readable, refuse_unreadable
from edgecnn.plain import NO_INPUTS, RANDOM, PlainFile, Request, batch_of, batches
from edgecnn.spec import InputContract, Variant
from edgecnn.worker import Opened


@dataclass(frozen=True)
class Job:
    """Something to measure.

    Attributes:
        subjects: What takes turns.
        pairs: The names of those that are compared, the one to compare with first.
        images: What goes in, for the report.
        batch_size: Images in one call.
        plan: How much.
        measured: SHA-256 of every file, by name; empty if nobody asks.
        inputs: Of plain files, what they are run on, in two words.
        own_images: The model's own images; None where it has none.
        baseline: What the subjects are compared with; None if none was named.
    """

    subjects: tuple[Subject, ...]
    pairs: tuple[tuple[str, str], ...]
    images: str
    batch_size: int
    plan: Plan
    measured: dict[str, str] = field(default_factory=dict)
    inputs: str = ""
    own_images: Images | None = None
    baseline: Baseline | None = None

    @property
    def own_names(self) -> tuple[str, ...]:
        """Names of the subjects that are not the baseline's."""
        rivals = {pair.baseline for pair in self.baseline.pairs} if self.baseline else set()
        return tuple(each.name for each in self.subjects if each.name not in rivals)


def bundle_job(
    bundle: Bundle, variants: Sequence[str], batch_size: int, place: Place, plan: Plan
) -> Job:
    """Measure variants of a bundle; by default all that the runtime reads at this batch size."""
    names = _chosen(bundle, variants, batch_size, place.runtime)
    located = [bundle.locate(name) for name in names]
    contract = bundle.manifest.contract
    job = image_job(located, bundle_images(bundle), contract, batch_size, place, plan)
    names = sorted({Path(file).name for variant in located for file in variant.files})
    return replace(job, measured={name: bundle.files[name].sha256 for name in names})


def image_job(
    variants: Sequence[Variant],
    images: Images,
    contract: InputContract,
    batch_size: int,
    place: Place,
    plan: Plan,
) -> Job:
    """Measure located variants on images."""
    for variant in variants:
        _refuse_batch(variant, batch_size)

    def feeder(variant: Variant, opened: Opened) -> Batches:
        return make_batches(contract, variant, opened, images.pixels, batch_size)

    subjects = tuple(
        Subject(variant.name, variant, partial(feeder, variant), place, contract=contract)
        for variant in variants
    )
    return Job(
        subjects,
        first_with_each(subjects),
        describe(images, batch_size),
        batch_size,
        plan,
        own_images=images,
    )


def files_job(
    files: Sequence[PlainFile], request: Request, batch_size: int | None, place: Place, plan: Plan
) -> Job:
    """Measure plain files; by default at the batch size that the first takes.

    Random inputs are drawn for each, as they may take different ones; the user's are those of the
    first, and the others get the same.
    """
    requests = _share_out(files, request)
    size = batch_of(files[0], requests[0], batch_size)
    subjects, texts = [], []
    for file, own in zip(files, requests, strict=True):
        batch_of(file, own, size)
        runs, text = batches(file, own, size, files[0] if request.file else file)
        give = partial(_as_they_are, runs)
        limit = file.memory_for(size, place.provider)
        subjects.append(Subject(file.variant.name, file.variant, give, place, limit))
        texts.append(text)
    if len(set(texts)) > 1:
        texts = [f"{file}: {text}" for file, text in zip(files, texts, strict=True)]
    kind = request.file.name if request.file else RANDOM
    if not any(file.inputs for file in files):
        kind = NO_INPUTS
    images = "; ".join(dict.fromkeys(texts))
    measured = {name: digest for file in files for name, digest in file.measured.items()}
    return Job(
        tuple(subjects),
        first_with_each(subjects),
        images,
        size,
        plan,
        measured=measured,
        inputs=kind,
    )


def first_with_each(subjects: Sequence[Subject]) -> tuple[tuple[str, str], ...]:
    """Pair the first with each other one."""
    first, *others = subjects
    return tuple((first.name, other.name) for other in others)


def _as_they_are(runs: Batches, opened: Opened) -> Batches:
    return runs


def _share_out(files: Sequence[PlainFile], request: Request) -> list[Request]:
    """Give each file the shapes of its own inputs."""
    owners = [{spec.name for spec in file.inputs} for file in files]
    known = set().union(*owners)

    def own(names: set[str]) -> Mapping[str, Sequence[int]]:
        # What no file has goes to all, and is refused there.
        shapes = request.shapes.items()
        return {name: shape for name, shape in shapes if name in names or name not in known}

    return [replace(request, shapes=own(names)) for names in owners]


def _chosen(
    bundle: Bundle, variants: Sequence[str], batch_size: int, runtime: str
) -> Sequence[str]:
    refuse_unreadable(map(bundle.variant, variants), runtime)
    every = () if variants else readable(bundle.manifest.variants, runtime)
    fitting = [variant.name for variant in every if variant.batch in ("dynamic", batch_size)]
    names = variants or fitting or [variant.name for variant in every]
    if not names:
        raise BundleError(
            f"{bundle.folder} has no variant to measure yet.",
            f"Make one with `edgecnn export {bundle.folder}`.",
        )
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(
            f"The variant '{min(twice)}' is named twice.",
            "Name it once; the first variant is compared with itself in any case.",
        )
    return names


def _refuse_batch(variant: Variant, batch_size: int) -> None:
    if batch_size < 1:
        raise InputError(f"A batch of {batch_size} holds no image.", "Use --batch-size 1 or more.")
    if variant.batch not in ("dynamic", batch_size):
        raise InputError(
            f"The variant '{variant.name}' takes batches of {variant.batch}, not {batch_size}.",
            f"Use --batch-size {variant.batch}, or name other variants with --variant.",
        )
