"""What comes out of training: the bundle, the accuracy on the test split, and the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edgecnn import bundle as bundles
from edgecnn.bundle import WEIGHTS, Bundle
from edgecnn.data import Dataset
from edgecnn.errors import ModelError
from edgecnn.machine import this_machine
from edgecnn.nets import parameter_count, plain_state
from edgecnn.recipe import Recipe
from edgecnn.spec import InputContract, Verdict
from edgecnn.stats import wilson
from edgecnn.training.augment import Normaliser
from edgecnn.training.checkpoint import Origin
from edgecnn.training.loop import Run, on_device, predict
from edgecnn.training.repeatable import device_name
from edgecnn.training.report import ClassAccuracy, Tell, TrainReport


@dataclass(frozen=True)
class Job:
    """Everything that is settled before the first step.

    Attributes:
        name: Name of the recipe or model.
        recipe: The recipe, with the user's changes.
        dataset: The data, in memory.
        contract: How pictures become input, with the labels of the data.
        device: Where to train.
        output: The bundle's folder.
        tell: Called with each event.
    """

    name: str
    recipe: Recipe
    dataset: Dataset
    contract: InputContract
    device: torch.device
    output: Path
    tell: Tell


def write_bundle(job: Job, run: Run, origin: Origin, *, force: bool) -> Bundle:
    """Write the trained weights as a bundle.

    Raises:
        ModelError: The weights hold NaN or infinity.
        BundleError: The folder exists by now and `force` was not given.
        InputError: The disk is full or not writable.
    """
    from safetensors.torch import save

    weights = plain_state(run.net)
    broken = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ModelError(
            f"The trained weights hold NaN or infinity: {', '.join(broken)}.",
            "Use a lower --learning-rate.",
        )
    manifest = bundles.new_manifest(
        job.output.resolve().name,
        job.contract,
        model=origin.model,
        data=origin.data,
        environment=_environment(job),
    )
    return bundles.create(job.output, manifest, {WEIGHTS: save(weights)}, force=force)


def make_train_report(
    job: Job,
    run: Run,
    origin: Origin,
    *,
    images: tuple[int, int],
    resumed_after: int,
) -> TrainReport:
    """Test the net on the whole test split and report.

    Args:
        job: What was to be done.
        run: What was learned.
        origin: What it was begun with.
        images: How many pictures were learned from, and how many held out.
        resumed_after: Epochs that an interrupted run had done before.
    """
    right, counts = _test(job, run)
    accuracy = wilson(int(right.sum()), int(counts.sum()))
    required = job.recipe.accuracy.get(job.dataset.name)
    return TrainReport(
        bundle=str(job.output),
        recipe=job.name,
        model=origin.model,
        parameters=parameter_count(run.net),
        data=origin.data,
        plan=origin.plan,
        device=device_name(job.device),
        training_images=images[0],
        holdout_images=images[1],
        curve=tuple(run.curve),
        accuracy=accuracy,
        classes=tuple(
            ClassAccuracy(label, int(count), int(hits))
            for label, count, hits in zip(job.dataset.labels, counts, right, strict=True)
        ),
        required_accuracy=required,
        verdict=_verdict(accuracy.estimate, required, job.dataset.name),
        training_cpu_seconds=run.cpu_seconds,
        cpu_seconds=0.0,
        resumed_after=resumed_after,
    )


def _test(job: Job, run: Run) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count right answers, and pictures, class by class."""
    split, classes = job.dataset.test, len(job.dataset.labels)
    normalise = Normaliser(job.contract, job.device, channels_last=job.recipe.train.channels_last)
    images = on_device(split.images, job.device)
    answers = predict(run.net, images, normalise).cpu().numpy()
    right = np.bincount(split.labels[answers == split.labels], minlength=classes)
    return right, np.bincount(split.labels, minlength=classes)


def _verdict(accuracy: float, required: float | None, data: str) -> Verdict | None:
    if required is None:
        return None
    reached = accuracy >= required
    words = "reaches" if reached else "does not reach"
    reason = (
        f"{100 * accuracy:.2f} % on {data} {words} the {100 * required:.4g} % that the recipe "
        "requires."
    )
    return Verdict("pass" if reached else "fail", (reason,))


def _environment(job: Job) -> dict[str, str]:
    machine = this_machine()
    return {
        "python": machine.python,
        "torch": str(torch.__version__),
        "system": machine.system,
        "cpu": machine.cpu,
        "device": device_name(job.device),
        "threads": str(job.recipe.train.threads),
        "precision": job.recipe.train.precision,
    }
