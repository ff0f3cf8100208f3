"""From what was asked for to a job: which files, beside what, and on which cores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from edgecnn.benchmark.baseline import beside_bundle, beside_files
from edgecnn.benchmark.engine import Place
from edgecnn.benchmark.jobs import Job, bundle_job, files_job
from edgecnn.benchmark.plan import Plan
from edgecnn.benchmark.scenarios import Wanted
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.conditions import pick_cores
from edgecnn.deployment import HowToRun, how_or_warn, how_without_bundle
from edgecnn.errors import InputError
from edgecnn.plain import Request, is_file_name, open_files


def pinned(place: Place, wanted: Wanted) -> Place:
    """Give the same place on cores of its own.

    Raises:
        InputError: There are more threads than physical cores, or callers would have to share them.
        UnavailableError: Nothing can be pinned here.
    """
    if wanted.callers:
        raise InputError(
            "--pin gives a process as many cores as it has threads, which several callers would "
            "have to share.",
            "Leave --pin or --concurrency out.",
        )
    cores = pick_cores(place.threads)
    return replace(place, threads=len(cores), cores=cores)


def how_to_measure(model: Bundle | Path | str | Sequence[Path | str], **said: Any) -> HowToRun:
    """Decide how something is run, as `deployment.how_to_run` does; files have no deployment."""
    if _files(model):
        return how_without_bundle(**said)
    opened = model if isinstance(model, Bundle) else open_bundle(cast("Path | str", model))
    return how_or_warn(opened, **said)


def make_job(
    model: Bundle | Path | str | Sequence[Path | str],
    variants: Sequence[str],
    baseline: Bundle | Path | str | None,
    request: Request,
    batch_size: int | None,
    place: Place,
    plan: Plan,
) -> Job:
    """Decide what a bench measures; the arguments are those of `bench`."""
    paths = _files(model)
    if paths:
        if variants:
            raise InputError("ONNX files have no variants.", "Leave --variant out.")
        if baseline is not None:
            return beside_files(paths, baseline, request, batch_size, place, plan)
        return files_job(open_files(paths), request, batch_size, place, plan)
    request.refuse_for("A bundle is measured on its golden images.")
    opened = model if isinstance(model, Bundle) else open_bundle(cast("Path | str", model))
    size = 1 if batch_size is None else batch_size
    job = bundle_job(opened, variants, size, place, plan)
    if baseline is not None:
        return beside_bundle(job, opened, baseline, place, plan)
    return job


def _files(model: Bundle | Path | str | Sequence[Path | str]) -> Sequence[Path | str]:
    """Give the ONNX files that are meant; none where it is a bundle."""
    if isinstance(model, Bundle):
        return ()
    if isinstance(model, Path | str):
        return (model,) if is_file_name(model) else ()
    if not model:
        raise InputError("No file is named, so nothing can be measured.", "Name one or more.")
    return model
