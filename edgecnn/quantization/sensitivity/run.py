"""`edgecnn sensitivity`, step by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import extras
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.bundle_data import bundle_data
from edgecnn.data import Dataset
from edgecnn.errors import InputError
from edgecnn.progress import Progress, part_of, tell_nobody
from edgecnn.quantization.calibration.choosing import Images
from edgecnn.quantization.calibration.draws import Draw, draw, refuse_unreal
from edgecnn.quantization.candidates import find_plan
from edgecnn.quantization.making import Subject, observe_subject
from edgecnn.quantization.pixels import feed
from edgecnn.quantization.placing import base_plan
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.schemes import SAFE
from edgecnn.quantization.sensitivity.ranking import Ranking, rank_effects
from edgecnn.quantization.sensitivity.report import SensitivityReport
from edgecnn.quantization.sensitivity.timing import Times, time_layers
from edgecnn.records import sha256
from edgecnn.runtime import check_available
from edgecnn.spec import InputContract, Variant

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray


DURATION_SECONDS = 2.0
FEWEST = 16
# So that a net of large pictures takes minutes and no hours: 128 at 224x224.
_MOST_VALUES, _FEWEST_BY_DEFAULT = 1 << 23, 128


@dataclass(frozen=True, eq=False)
class _Job:
    """What is analysed, and on what."""

    bundle: Bundle
    source: Variant
    dataset: Dataset
    drawn: Draw
    plan: Plan | None
    threads: int | None
    seconds: float
    tell: Progress


def sensitivity(
    bundle: Bundle | Path | str,
    *,
    variant: str = "fp32",
    selection_samples: int | None = None,
    data: Dataset | str | Path | None = None,
    data_dir: Path | None = None,
    threads: int | None = None,
    duration: float | None = None,
    plan: Plan | None = None,
    note: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> SensitivityReport:
    """Say which tensors int8 hurts: each is rounded alone, as int8 rounds it, against fp32.

    Nothing is written into the bundle.

    Args:
        bundle: A bundle or its folder.
        variant: The fp32 variant.
        selection_samples: Images of the training split on which answers are compared, none of which
            calibrates; by default 1,024, or 128 of large ones, or what there is.
        data: Other data, or its source; the bundle's own by default.
        data_dir: Folder for downloaded data.
        threads: Threads of the sessions whose layers are timed; by default the cores allowed.
        duration: Seconds of timing layers in each precision, 2 by default; openings come on top.
        plan: How int8 is quantized; by default what `edgecnn quantize` would choose.
        note: Called with sentences that people should read.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        DataError: There is no data, or it is none that calibrates.
        InputError: A number cannot be, or the variant is no fp32 ONNX.
        ModelError: The model cannot be quantized.
        BundleError: The variant is missing, stale or damaged.
        UnavailableError: A package is missing.
    """
    _check(selection_samples)
    tell, say = progress or tell_nobody, note or _silent
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    source = _float_variant(opened, variant)
    tell("Loading data", 0.0)
    dataset = data if isinstance(data, Dataset) else _data(opened, data, data_dir, tell)
    refuse_unreal(opened, dataset)
    drawn = _drawn(dataset, opened.manifest.contract, selection_samples, say)
    seconds = DURATION_SECONDS if duration is None else duration
    return _analyse(_Job(opened, source, dataset, drawn, plan, threads, seconds, tell))


def _check(selection_samples: int | None) -> None:
    if selection_samples is not None and selection_samples < FEWEST:
        raise InputError(
            f"{selection_samples} images rank nothing.",
            f"Use --selection-samples {FEWEST} or more.",
        )
    extras.require("`edgecnn sensitivity`", "onnx", "onnx_ir")
    check_available("ort", "cpu")


def _analyse(job: _Job) -> SensitivityReport:
    train, classes = job.dataset.train, job.bundle.manifest.contract.output_kind != "other"
    calibration, selection = train.images[job.drawn.calibration], train.images[job.drawn.selection]
    core, contract = _core(job)
    images, tell = Images(calibration, selection), part_of(job.tell, 0.05, 0.2)
    plan = job.plan
    if plan is None:
        base = base_plan(core, SAFE)
        plan = find_plan(core, contract, images, base, classes=classes, tell=tell).plan
    job.tell(f"Calibrating on {len(calibration)} images", 0.2)
    subject = observe_subject(core, contract, calibration, plan)
    ranking = rank_effects(
        subject, plan, selection, classes=classes, tell=part_of(job.tell, 0.2, 0.8)
    )
    return _report(job, plan, subject, ranking, _times(job, subject, ranking, selection))


def _times(job: _Job, subject: Subject, ranking: Ranking, images: NDArray[np.uint8]) -> Times:
    return time_layers(
        job.source,
        subject.core,
        ranking.int8,
        subject.contract,
        images,
        {layer for each in ranking.effects for layer in (each.layer, *each.in_float)},
        threads=job.threads,
        duration=job.seconds,
        tell=part_of(job.tell, 0.8, 1.0),
    )


def _float_variant(bundle: Bundle, name: str) -> Variant:
    source = bundle.locate(name)
    if source.precision != "fp32" or source.format != "onnx":
        raise InputError(
            f"The variant '{name}' is {source.precision} {source.format}; each tensor is rounded "
            "in an fp32 ONNX.",
            "Name an fp32 variant with --variant.",
        )
    return source


def _data(
    bundle: Bundle, source: str | Path | None, data_dir: Path | None, tell: Progress
) -> Dataset:
    return bundle_data(
        bundle, source, data_dir=data_dir, progress=lambda what, share: tell(what, share / 20)
    )


def _drawn(
    dataset: Dataset, contract: InputContract, samples: int | None, say: Callable[[str], None]
) -> Draw:
    found = draw(dataset, selection_samples=samples)
    most = max(_FEWEST_BY_DEFAULT, _MOST_VALUES // math.prod(contract.pixel_shape))
    if samples is None and len(found.selection) > most:
        say(
            f"Answers are compared on {most} images, as they are large; "
            "--selection-samples takes more."
        )
        found = Draw(found.calibration, found.selection[:most])
    if len(found.selection) < FEWEST:
        raise InputError(
            f"{dataset.source} has {len(dataset.train)} training images, and too few are left to "
            "compare answers on.",
            f"Name data with {2 * FEWEST} training images or more, with --data.",
        )
    return found


def _core(job: _Job) -> tuple[ir.Model, InputContract]:
    """Give the float core and its input as `edgecnn quantize` begins with them."""
    # Imported late: what is written holds what a search for a mix found, which begins here.
    from edgecnn.quantization.writing import read_core

    return feed(
        read_core(job.source),
        job.bundle.manifest.contract,
        pixels=job.source.preprocessing,
        scheme=(job.plan or Plan()).scheme,
    )


def _report(
    job: _Job, plan: Plan, subject: Subject, ranking: Ranking, times: Times
) -> SensitivityReport:
    source = job.source
    return SensitivityReport(
        bundle=str(job.bundle.folder),
        variant=source.name,
        file=source.path.name,
        sha256=sha256(source.path.read_bytes()),
        scheme=str(plan.scheme),
        calibration=plan.calibration,
        corrections=plan.corrections,
        calibration_images=len(subject.images),
        data=job.dataset.name,
        images=ranking.whole.images,
        classes=ranking.whole.margin_error is not None,
        whole=ranking.whole,
        whole_error=ranking.whole_error,
        effects=ranking.effects,
        layers=times.layers,
        fp32_seconds=times.fp32_seconds,
        int8_seconds=times.int8_seconds,
        threads=times.threads,
    )


def _silent(text: str) -> None:
    pass
