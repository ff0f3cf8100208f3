"""A baseline is measured in the same run, in turn with what is compared with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgecnn.benchmark.engine import Place, Subject
from edgecnn.benchmark.inputs import bundle_images
from edgecnn.benchmark.jobs import Job, files_job, image_job
from edgecnn.benchmark.plan import Plan
from edgecnn.benchmark.report import Baseline, BaselinePair
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.errors import InputError
from edgecnn.plain import Request, is_file_name, open_files


def beside_bundle(
    job: Job, bundle: Bundle, baseline: Bundle | Path | str, place: Place, plan: Plan
) -> Job:
    """Measure the variants of the same names of another bundle too.

    They get the same images, or their own golden ones if those are of another size.

    Args:
        job: What is measured of the bundle.
        bundle: The bundle.
        baseline: The other one.
        place: Where.
        plan: How much.

    Raises:
        InputError: The baseline is no bundle, or has no variant of the same name.
    """
    if not isinstance(baseline, Bundle) and is_file_name(baseline):
        raise InputError(
            f"{bundle.folder} is a bundle and {baseline} an ONNX file.",
            "Name two bundles, or two files.",
        )
    old = baseline if isinstance(baseline, Bundle) else open_bundle(baseline)
    wanted = [subject.name for subject in job.subjects]
    theirs = [variant.name for variant in old.manifest.variants]
    shared = [name for name in wanted if name in theirs]
    if not shared:
        raise InputError(
            f"{old.folder} has none of the variants {', '.join(wanted)}; "
            f"it has {', '.join(theirs) or 'none'}.",
            "Name a baseline with a variant of the same name, or another --variant.",
        )
    contract, own = old.manifest.contract, job.own_images
    alike = contract.pixel_shape == bundle.manifest.contract.pixel_shape
    images = own if own and alike else bundle_images(old)
    located = [old.locate(name) for name in shared]
    rival = image_job(located, images, contract, job.batch_size, place, plan)
    files = {Path(file).name for variant in located for file in variant.files}
    measured = {name: old.files[name].sha256 for name in sorted(files)}
    pairs = [(subject, subject.name) for subject in rival.subjects]
    if images is not own:
        job = replace(job, images=f"{job.images}; for the baseline {rival.images}")
    return _joined(job, pairs, str(old.folder), measured)


def beside_files(
    paths: Sequence[Path | str],
    baseline: Bundle | Path | str,
    request: Request,
    batch_size: int | None,
    place: Place,
    plan: Plan,
) -> Job:
    """Measure ONNX files, and another one that each is compared with.

    Args:
        paths: The files.
        baseline: The other one.
        request: What goes in.
        batch_size: Images in one call.
        place: Where.
        plan: How much.

    Raises:
        InputError: The baseline is no ONNX file.
    """
    if isinstance(baseline, Bundle) or not is_file_name(baseline):
        named = baseline.folder if isinstance(baseline, Bundle) else baseline
        raise InputError(
            f"{paths[0]} is an ONNX file and {named} a bundle.", "Name two bundles, or two files."
        )
    files = open_files([*paths, baseline])
    whole = files_job(files, request, batch_size, place, plan)
    *ours, theirs = whole.subjects
    measured = {name: digest for file in files[:-1] for name, digest in file.measured.items()}
    job = replace(whole, subjects=tuple(ours), measured=measured)
    pairs = [(theirs, subject.name) for subject in ours]
    return _joined(job, pairs, str(baseline), files[-1].measured)


def _joined(
    job: Job, pairs: Sequence[tuple[Subject, str]], model: str, measured: dict[str, str]
) -> Job:
    rivals = {name: replace(each, name=f"baseline {each.name}") for each, name in pairs}
    subjects = list(dict.fromkeys(rival.name for rival in rivals.values()))
    by_name = {each.name: each for each in (*rivals.values(), *job.subjects)}
    order = [*subjects, *(each.name for each in job.subjects)]
    compared = [(rival.name, name) for name, rival in rivals.items()]
    return replace(
        job,
        subjects=tuple(by_name[name] for name in order),
        pairs=tuple(compared),
        measured=job.measured | {f"baseline {name}": sha for name, sha in measured.items()},
        baseline=Baseline(model, tuple(BaselinePair(*pair) for pair in compared)),
    )
