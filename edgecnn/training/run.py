"""`edgecnn train`: from a recipe and data to a bundle, step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Literal

import numpy as np
import torch
from torch import nn

from edgecnn import bundle as bundles
from edgecnn import disk
from edgecnn.bundle import WEIGHTS, Bundle
from edgecnn.data import Dataset, Split, by_content, load_dataset
from edgecnn.errors import BundleError, DataError, InputError, ModelError, RecipeError
from edgecnn.nets import make_net, parameter_count, short_name
from edgecnn.recipe import GENERIC, ModelSpec, Recipe, load_recipe, override
from edgecnn.reports import make_report, write_report
from edgecnn.spec import Color, InputContract
from edgecnn.training import checkpoint
from edgecnn.training.checkpoint import Origin
from edgecnn.training.loop import Pictures, Run, begin, fit, on_device
from edgecnn.training.outcome import Job, make_train_report, write_bundle
from edgecnn.training.repeatable import device_name, find_device, repeatable
from edgecnn.training.report import Event, Note, Reading, Tell, TrainReport

_LEAST_HOLDOUT_SHARE = 10


def train(
    recipe: str | None = None,
    *,
    model: str | None = None,
    model_arguments: Mapping[str, bool | int | float | str] | None = None,
    data: str | Path | None = None,
    data_dir: Path | None = None,
    test_fraction: float = 0.2,
    labels_file: Path | None = None,
    skip_broken: bool = False,
    input_size: tuple[int, int] | None = None,
    color: Color | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    resize: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    threads: int | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    device: str = "auto",
    output: Path | str | None = None,
    force: bool = False,
    resume: bool = False,
    tell: Tell | None = None,
) -> TrainReport:
    """Train a model and write it as a bundle; the same seed and threads give the same bits.

    What is None stays as the recipe has it.

    Args:
        recipe: A recipe's name or the path of a TOML file; `lenet` by default, or the generic
            recipe where a model is named.
        model: A name on the shelf, `FILE.py:factory`, `package.module:factory`,
            `torchvision:NAME` or `timm:NAME`.
        model_arguments: What the factory is called with, beside what the recipe says.
        data: `synthetic`, `cifar10`, a folder of images or a `.npz` file.
        data_dir: Where downloaded data lies.
        test_fraction: Share of images that a single folder of classes gives to the test split.
        labels_file: A file with one class name on each line, in order.
        skip_broken: Leave broken images out instead of stopping.
        input_size: Height and width of the input, in pixels.
        color: `rgb` or `gray`.
        mean: Subtracted after scaling, one for each channel.
        std: Divided by last, one for each channel.
        resize: `stretch`, `crop N` or `letterbox`.
        epochs: Passes over the training images.
        batch_size: Images in one step.
        learning_rate: The highest learning rate.
        seed: Seed of weights, order and augmentation.
        threads: Threads; another number gives other weights.
        precision: `fp32`, or `bf16` for autocast.
        device: `cpu`, `cuda`, or `auto` for CUDA where there is one.
        output: The bundle's folder; `runs/NAME` by default.
        force: Replace a bundle, and forget an unfinished run, that are there.
        resume: Go on with an interrupted run, which must have been begun with the same arguments.
        tell: Called with each event while it runs.

    Raises:
        InputError: Something that was given cannot be used, or the loss is no longer a number.
        UnavailableError: CUDA was asked for and there is none.
    """
    cpu = time.process_time()
    tell = tell or _ignore
    chosen = _choose(recipe, model, model_arguments)
    chosen = override(
        chosen,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        threads=threads,
        precision=precision,
    )
    name = _name(recipe, model)
    folder = Path(output) if output else Path("runs") / name
    _refuse_unwanted(folder, force=force, resume=resume)
    _refuse_unwritable(folder)
    contract = _change(chosen.input, input_size, color, mean, std, resize)
    _refuse_large_shift(chosen, contract)
    if contract.color != chosen.input.color:
        tell(Note(f"{contract.color} pictures: mean {contract.mean}, std {contract.std}."))
    place = find_device(device)
    dataset = load_dataset(
        data or chosen.data,
        contract,
        data_dir=data_dir,
        test_fraction=test_fraction,
        labels_file=labels_file,
        skip_broken=skip_broken,
        progress=lambda what, share: tell(Reading(what, share)),
    )
    _refuse_one_class(dataset)
    contract = replace(contract, labels=dataset.labels)
    job = Job(name, chosen, dataset, contract, place, folder, tell)
    with repeatable(chosen.train.threads, place):
        return _carry_out(job, force=force, resume=resume, cpu=cpu)


def _choose(
    recipe: str | None,
    model: str | None,
    arguments: Mapping[str, bool | int | float | str] | None,
) -> Recipe:
    chosen = load_recipe(recipe or (GENERIC if model else "lenet"))
    spec = chosen.model
    if model is not None and model != spec.source:
        spec = ModelSpec(model)
    return replace(chosen, model=replace(spec, arguments={**spec.arguments, **(arguments or {})}))


def _name(recipe: str | None, model: str | None) -> str:
    if recipe is None:
        return short_name(model) if model else "lenet"
    return Path(recipe).stem if recipe.endswith(".toml") else recipe.replace("/", "-")


def _refuse_unwanted(folder: Path, *, force: bool, resume: bool) -> None:
    if folder.is_dir() and any(folder.iterdir()) and force:
        bundles.refuse_foreign(folder)
    if folder.exists() and not force:
        raise BundleError(
            f"{folder} already exists.",
            "Use --force to replace it, --output DIR to write elsewhere, or --force --resume to "
            "go on with an interrupted run that replaces it.",
        )
    kept = checkpoint.is_kept(folder)
    partial = checkpoint.partial_folder(folder)
    if resume and not kept:
        raise InputError(
            f"There is nothing to resume: {partial} holds no unfinished run.",
            "Leave --resume out to begin.",
        )
    if kept and not (resume or force):
        raise BundleError(
            f"{partial} holds an unfinished run.",
            "Use --resume to go on with it, or --force to begin anew.",
        )


def _refuse_unwritable(folder: Path) -> None:
    probe = folder.with_name(f".{folder.name}.probe")
    disk.write_atomically(probe, b"")
    probe.unlink(missing_ok=True)


def _refuse_large_shift(recipe: Recipe, contract: InputContract) -> None:
    if recipe.train.shift >= min(contract.height, contract.width):
        raise RecipeError(
            f"shift = {recipe.train.shift} would move a picture of {contract.height}x"
            f"{contract.width} pixels out of itself.",
            "Make it smaller in the recipe, or --input-size larger.",
        )


def _change(
    contract: InputContract,
    input_size: tuple[int, int] | None,
    color: Color | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    resize: str | None,
) -> InputContract:
    height, width = input_size or (contract.height, contract.width)
    if color == "gray" and contract.channels == 3:
        mean, std = mean or _average(contract.mean), std or _average(contract.std)
    return replace(
        contract,
        height=height,
        width=width,
        color=color or contract.color,
        mean=mean or contract.mean,
        std=std or contract.std,
        resize=resize or contract.resize,
    )


def _refuse_one_class(dataset: Dataset) -> None:
    if len(dataset.labels) < 2:
        raise DataError(
            f"{dataset.source} has the one class {', '.join(dataset.labels)}, and no net can learn "
            "to tell one class apart.",
            "Name the folder that holds the class folders, one level up, or add a class.",
        )


def _average(values: tuple[float, ...]) -> tuple[float, ...]:
    return (round(fmean(values), 4),)


def _carry_out(job: Job, *, force: bool, resume: bool, cpu: float) -> TrainReport:
    plan = job.recipe.train
    torch.manual_seed(plan.seed)
    net, model = make_net(job.recipe.model, job.contract)
    _introduce(job, net)
    train, holdout = (
        pictures(part, job.device) for part in split_holdout(job.dataset.train, plan.holdout)
    )
    run = begin(net, plan, job.device)
    origin = Origin(model, job.dataset.reference(), job.contract, plan, job.device.type)
    if resume:
        checkpoint.resume(run, origin, job.output)
        job.tell(Note(f"Going on after epoch {len(run.curve)}."))
    else:
        checkpoint.forget(job.output)
    resumed_after = len(run.curve)
    with _told_how_to_go_on(job, run):
        fit(
            run,
            train,
            holdout,
            job.contract,
            plan,
            tell=job.tell,
            keep=lambda run: checkpoint.keep(run, origin, job.output),
        )
    bundle = write_bundle(job, run, origin, force=force)
    checkpoint.forget(job.output)
    report = make_train_report(
        job, run, origin, images=(len(train), len(holdout)), resumed_after=resumed_after
    )
    report = replace(report, cpu_seconds=time.process_time() - cpu)
    _keep_report(job, report, bundle)
    return report


def _keep_report(job: Job, report: TrainReport, bundle: Bundle) -> None:
    measured = {WEIGHTS: bundle.files[WEIGHTS].sha256}
    try:
        write_report(make_report("train", report, measured), bundle.folder)
    except InputError as error:
        job.tell(Note(f"The report is not kept: {error.problem}"))


def _introduce(job: Job, net: nn.Module) -> None:
    contract, plan, dataset = job.contract, job.recipe.train, job.dataset
    colour = "grey" if contract.color == "gray" else "colour"
    job.tell(
        Note(
            f"Learning {len(dataset.labels)} classes of {dataset.name} "
            f"{contract.height}x{contract.width} {colour} pictures "
            f"({len(dataset.train):,} to train, {len(dataset.test):,} to test) "
            f"with {short_name(job.recipe.model.source)} ({parameter_count(net):,} parameters)."
        )
    )
    for text in dataset.notes:
        job.tell(Note(text))
    job.tell(
        Note(
            f"{_count(plan.epochs, 'epoch')} on {device_name(job.device)} with "
            f"{_count(plan.threads, 'thread')}, {plan.precision}, seed {plan.seed}."
        )
    )


def split_holdout(split: Split, holdout: int) -> tuple[Split, Split]:
    """Part a training split into what is learned from and what the learning curve is measured on.

    The holdout is the last in the order of content, at most a tenth; calibration takes the first.
    """
    count = min(holdout, len(split) // _LEAST_HOLDOUT_SHARE)
    order = by_content(split)
    kept, held = order[: len(order) - count], order[len(order) - count :]
    return split.take(np.sort(kept)), split.take(np.sort(held))


def pictures(split: Split, device: torch.device) -> Pictures:
    """Put a split into the memory of the device."""
    labels = torch.from_numpy(split.labels).to(device)
    return Pictures(on_device(split.images, device), labels)


@contextmanager
def _told_how_to_go_on(job: Job, run: Run) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        done = len(run.curve)
        kept = f"Epoch {done} is kept: add --resume to the same command to go on after it."
        job.tell(Note(kept if done else "No epoch was done, so nothing is kept."))
        raise
    except RuntimeError as error:
        raise _failure(job, run, error) from error


def _failure(job: Job, run: Run, error: RuntimeError) -> ModelError:
    reason = " ".join(str(error).split()).rstrip(".")
    remedy = "Mend the net; `edgecnn --debug train` shows where it fails."
    if isinstance(error, torch.OutOfMemoryError):
        reason, remedy = "the GPU's memory is full", "Use a smaller --batch-size, or --device cpu."
    elif "deterministic" in reason:
        remedy = "Use --device cpu, where every operation repeats itself."
    return ModelError(
        f"{job.recipe.model.source} fails in epoch {len(run.curve) + 1}: {reason}.", remedy
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _ignore(event: Event) -> None:
    pass
