"""`edgecnn train --qat`: a trained bundle's net, fine-tuned as int8."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgecnn import extras
from edgecnn.bundle import WEIGHTS, Bundle, open_bundle
from edgecnn.bundle_data import bundle_data
from edgecnn.data import Dataset, Split
from edgecnn.errors import InputError
from edgecnn.quantization.calibration.draws import draw, refuse_unreal
from edgecnn.quantization.making import Subject, make_int8, observe_subject
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.running import image_input, run_core
from edgecnn.quantization.writing import read_core
from edgecnn.recipe import TrainingPlan, load_recipe
from edgecnn.reports import read_body, read_report
from edgecnn.runtime import check_available
from edgecnn.spec import Variant
from edgecnn.training.qat.report import QatReport
from edgecnn.training.qat.tuning import Start, Tuned, prove, tune
from edgecnn.training.repeatable import device_name, find_device, repeatable
from edgecnn.training.report import Event, Note, Reading, Tell, TrainReport
from edgecnn.training.run import pictures, split_holdout

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

_PROVED_ON = 8
_PLAN = TrainingPlan(
    epochs=3,
    optimizer="adamw",
    learning_rate=1e-3,
    warmup_fraction=0.1,
    channels_last=True,
)


@dataclass(frozen=True, eq=False)
class Qat:
    """What quantization-aware training gives.

    Attributes:
        core: The quantized core, without preprocessing.
        report: What was done.
        source: The fp32 variant that it was made from, located.
        dataset: The data; only its training images were used.
        plan: How it was quantized before the first step.
        calibration: The training images that set the ranges then, uint8 [M, height, width,
            channels].
    """

    core: ir.Model
    report: QatReport
    source: Variant
    dataset: Dataset
    plan: Plan
    calibration: NDArray[np.uint8]


def qat(
    bundle: Bundle | Path | str,
    *,
    variant: str = "fp32",
    plan: Plan | None = None,
    recipe: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    calibration_samples: int | None = None,
    data: Dataset | str | Path | None = None,
    data_dir: Path | None = None,
    tell: Tell | None = None,
) -> Qat:
    """Fine-tune a bundle's net with the rounding that its int8 file will do.

    It is quantized as `edgecnn quantize` does; then weights and scales learn in the graph of that
    very file. Only training images are read: the epoch that is kept is the best on those held
    out. Nothing is written. The same seed and threads give the same bytes.

    Args:
        bundle: A bundle or its folder.
        variant: The fp32 variant to begin with.
        plan: How it is quantized before the first step; corrections are left to the training.
        recipe: A recipe whose `flip` and `shift` move the pictures; by default those of the
            bundle's own training, if it was trained here.
        epochs: Passes over the training images.
        batch_size: Images in one step.
        learning_rate: The highest learning rate.
        seed: Seed of order and augmentation.
        threads: Threads; another number gives other weights.
        device: `cpu`, `cuda`, or `auto` for CUDA where there is one.
        calibration_samples: Training images that set the ranges before the first step.
        data: Other data to train on, or its source; the bundle's own by default.
        data_dir: Folder for downloaded data.
        tell: Called with each event.

    Raises:
        InputError: The variant is not fp32, its outputs are no logits, or a number cannot be.
        DataError: There is no data to train on.
        ModelError: The net holds what cannot be computed in training.
        UnavailableError: A package is missing, or CUDA was asked for and there is none.
    """
    extras.require("`edgecnn train --qat`", "torch", "onnx", "onnx_ir")
    check_available("ort", "cpu")
    tell = tell or _ignore
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    source, how = opened.locate(variant), replace(plan or Plan(), corrections=())
    core = _core(opened, source)
    training = _training_plan(
        opened,
        recipe,
        tell,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        threads=threads,
    )
    place = find_device(device)
    dataset = data if isinstance(data, Dataset) else _data(opened, data, data_dir, tell)
    refuse_unreal(opened, dataset)
    images = dataset.train.take(draw(dataset, calibration_samples, 0).calibration).images
    subject = observe_subject(core, opened.manifest.contract, images, how)
    with repeatable(training.threads, place):
        report, tuned = _tune(subject, how, dataset, training, place, source.name, tell)
    return Qat(tuned.core, report, source, dataset, how, images)


def _data(bundle: Bundle, source: str | Path | None, data_dir: Path | None, tell: Tell) -> Dataset:
    return bundle_data(
        bundle, source, data_dir=data_dir, progress=lambda what, share: tell(Reading(what, share))
    )


def _tune(
    subject: Subject,
    how: Plan,
    dataset: Dataset,
    plan: TrainingPlan,
    device: torch.device,
    variant: str,
    tell: Tell,
) -> tuple[QatReport, Tuned]:
    contract = subject.contract
    start = Start(make_int8(subject, how), subject.core, contract, how.scheme.bounded)
    prove(start, subject.images[:_PROVED_ON])
    train, holdout = split_holdout(dataset.train, plan.holdout)
    fp32 = _accuracy(subject, holdout)
    tell(Note(_what_is_done(variant, plan, device, len(train), len(holdout))))
    tuned = tune(start, pictures(train, device), pictures(holdout, device), plan, device, tell)
    report = QatReport(
        variant=variant,
        plan=plan,
        training_images=len(train),
        holdout_images=len(holdout),
        holdout_fp32=fp32,
        holdout_before=tuned.before,
        curve=tuned.curve,
        chosen=tuned.chosen,
        weights=tuned.weights,
        scales=tuned.scales,
        cpu_seconds=tuned.cpu_seconds,
    )
    tell(Note(_what_was_kept(report)))
    return report, tuned


def _core(bundle: Bundle, source: Variant) -> ir.Model:
    if source.precision != "fp32" or source.format != "onnx":
        raise InputError(
            f"The variant '{source.name}' is {source.precision} {source.format}; "
            "quantization-aware training begins with fp32 ONNX.",
            "Name an fp32 variant with --variant.",
        )
    contract, core = bundle.manifest.contract, read_core(source)
    first = core.graph.outputs[0].name
    if contract.output_kind != "logits" or contract.output not in ("", first):
        raise InputError(
            f"The first output of {bundle.folder} is not the logits of classes "
            f"(it is '{first}', of the kind {contract.output_kind}).",
            "Use `edgecnn quantize`, which trains nothing.",
        )
    batch = image_input(core)[1]
    if batch is not None:
        raise InputError(
            f"The variant '{source.name}' takes {batch} images at a time, and training needs an "
            "open batch.",
            "Use `edgecnn quantize`, which trains nothing.",
        )
    return core


def _training_plan(bundle: Bundle, recipe: str | None, tell: Tell, **changes: Any) -> TrainingPlan:
    before = load_recipe(recipe).train if recipe else _plan_before(bundle)
    given = {name: value for name, value in changes.items() if value is not None}
    if before is None:
        tell(
            Note(
                f"{bundle.folder} does not say how it was trained, so pictures are neither "
                "mirrored nor moved; name a recipe to have them as there."
            )
        )
        return replace(_PLAN, **given)
    return replace(_PLAN, flip=before.flip, shift=before.shift, **given)


def _plan_before(bundle: Bundle) -> TrainingPlan | None:
    """Give how the bundle's weights were trained, if a report in it says so."""
    weights = bundle.files.get(WEIGHTS)
    for path in sorted((bundle.folder / "reports").glob("*-train-*.json"), reverse=True):
        report = read_report(path)
        if weights is not None and report.measured.get(WEIGHTS) == weights.sha256:
            return read_body(report, TrainReport, where=str(path)).plan
    return None


def _accuracy(subject: Subject, split: Split) -> float:
    if not len(split):
        return 0.0
    answers = next(iter(run_core(subject.core, subject.contract, split.images).values()))
    return float(np.mean(answers.argmax(axis=1) == split.labels))


def _what_is_done(
    variant: str, plan: TrainingPlan, device: torch.device, train: int, held: int
) -> str:
    moves = [f"moved by up to {plan.shift} pixels"] if plan.shift else []
    moves = ["mirrored", *moves] if plan.flip else moves
    return (
        f"Fine-tuning {variant} as int8 on {train:,} training images"
        f"{', ' if moves else ''}{' and '.join(moves)}, {held:,} held out: {plan.epochs} "
        f"{'epoch' if plan.epochs == 1 else 'epochs'} "
        f"on {device_name(device)}, learning rate {plan.learning_rate:g}, seed {plan.seed}."
    )


def _what_was_kept(report: QatReport) -> str:
    if not report.holdout_images:
        return "No image was held out, so the last epoch is kept."
    found = report.curve[report.chosen - 1].holdout_accuracy or 0.0
    text = (
        f"Epoch {report.chosen} is kept: {100 * found:.1f} % of the images held out, where fp32 "
        f"has {100 * report.holdout_fp32:.1f} % and int8 had {100 * report.holdout_before:.1f} % "
        "before the first step."
    )
    worse = found < report.holdout_before
    return text + " Training made it worse: use a lower --learning-rate." * worse


def _ignore(event: Event) -> None:
    pass
