"""`edgecnn train`: from a recipe and data to a bundle, step by step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from edgecnn import bundle as bundles
from edgecnn.bundle import WEIGHTS, Bundle
from edgecnn.data import Dataset, Split, by_content, load_dataset
from edgecnn.errors import BundleError, InputError, ModelError
from edgecnn.recipe import GENERIC, ModelSpec, Recipe, load_recipe, override
from edgecnn.reports import make_report, write_report
from edgecnn.spec import Color, InputContract, Verdict
from edgecnn.stats import wilson
from edgecnn.training import checkpoint
from edgecnn.training.augment import Normaliser
from edgecnn.training.checkpoint import Origin
from edgecnn.training.loop import Pictures, Run, begin, fit, predict
from edgecnn.training.models import make_net, parameter_count
from edgecnn.training.repeatable import device_name, find_device, repeatable
from edgecnn.training.report import ClassAccuracy, Event, Note, Tell, TrainReport

_LEAST_HOLDOUT_SHARE = 10


@dataclass(frozen=True)
class _Job:
    """Everything that is settled before the first step."""

    name: str
    recipe: Recipe
    dataset: Dataset
    contract: InputContract
    device: torch.device
    output: Path
    tell: Tell


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
        model: A name on the shelf, `FILE.py:factory`, `package.module:factory` or
            `torchvision:NAME`.
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
    contract = _change(chosen.input, input_size, color, mean, std, resize)
    place = find_device(device)
    dataset = load_dataset(
        data or chosen.data,
        contract,
        data_dir=data_dir,
        test_fraction=test_fraction,
        labels_file=labels_file,
        skip_broken=skip_broken,
    )
    contract = replace(contract, labels=dataset.labels)
    job = _Job(name, chosen, dataset, contract, place, folder, tell)
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
    if recipe is None and model is None:
        return "lenet"
    if recipe is not None:
        return Path(recipe).stem if recipe.endswith(".toml") else recipe.replace("/", "-")
    place, _, factory = str(model).partition(":")
    if place == "torchvision":
        return factory
    return Path(place).stem if place.endswith(".py") else place.rpartition(".")[2]


def _refuse_unwanted(folder: Path, *, force: bool, resume: bool) -> None:
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


def _change(
    contract: InputContract,
    input_size: tuple[int, int] | None,
    color: Color | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    resize: str | None,
) -> InputContract:
    height, width = input_size or (contract.height, contract.width)
    return replace(
        contract,
        height=height,
        width=width,
        color=color or contract.color,
        mean=mean or contract.mean,
        std=std or contract.std,
        resize=resize or contract.resize,
    )


def _carry_out(job: _Job, *, force: bool, resume: bool, cpu: float) -> TrainReport:
    plan = job.recipe.train
    torch.manual_seed(plan.seed)
    net, model = make_net(job.recipe.model, job.contract)
    _introduce(job, net)
    train, holdout = _training_pictures(job)
    run = begin(net, plan, job.device)
    reference = job.dataset.reference()
    origin = Origin(model, reference, job.contract, plan, job.device.type)
    if resume:
        checkpoint.resume(run, origin, job.output)
        job.tell(Note(f"Going on after epoch {len(run.curve)}."))
    else:
        checkpoint.forget(job.output)
    resumed_after = len(run.curve)
    fit(
        run,
        train,
        holdout,
        job.contract,
        plan,
        tell=job.tell,
        keep=lambda run: checkpoint.keep(run, origin, job.output),
    )
    right, counts = _test(job, net)
    required = job.recipe.accuracy.get(job.dataset.name)
    report = TrainReport(
        bundle=str(job.output),
        recipe=job.name,
        model=model,
        parameters=parameter_count(net),
        data=reference,
        plan=plan,
        device=device_name(job.device),
        training_images=len(train),
        holdout_images=len(holdout),
        curve=tuple(run.curve),
        accuracy=wilson(int(right.sum()), int(counts.sum())),
        classes=tuple(
            ClassAccuracy(label, int(count), int(hits))
            for label, count, hits in zip(job.dataset.labels, counts, right, strict=True)
        ),
        required_accuracy=required,
        verdict=_verdict(right.sum() / counts.sum(), required, job.dataset.name),
        training_cpu_seconds=run.cpu_seconds,
        cpu_seconds=time.process_time() - cpu,
        resumed_after=resumed_after,
    )
    bundle = _write(job, run, origin, force=force)
    measured = {WEIGHTS: bundle.files[WEIGHTS].sha256}
    write_report(make_report("train", report, measured), bundle.folder)
    checkpoint.forget(job.output)
    return report


def _introduce(job: _Job, net: nn.Module) -> None:
    contract, plan, dataset = job.contract, job.recipe.train, job.dataset
    for text in dataset.notes:
        job.tell(Note(text))
    colour = "colour" if contract.color == "rgb" else "grey"
    model = job.recipe.model.source
    job.tell(
        Note(
            f"Learning {len(dataset.labels)} classes of {dataset.name} "
            f"{contract.height}x{contract.width} {colour} pictures "
            f"({len(dataset.train):,} to train, {len(dataset.test):,} to test) "
            f"with {model} ({parameter_count(net):,} parameters)."
        )
    )
    threads = f"{plan.threads} thread{'s' if plan.threads > 1 else ''}"
    job.tell(
        Note(
            f"{plan.epochs} epochs on {device_name(job.device)}, {threads}, {plan.precision}, "
            f"seed {plan.seed}."
        )
    )


def _training_pictures(job: _Job) -> tuple[Pictures, Pictures]:
    split = job.dataset.train
    count = min(job.recipe.train.holdout, len(split) // _LEAST_HOLDOUT_SHARE)
    order = by_content(split)
    held = np.sort(order[len(order) - count :])
    kept = np.sort(order[: len(order) - count])
    return _pictures(split.take(kept), job.device), _pictures(split.take(held), job.device)


def _pictures(split: Split, device: torch.device) -> Pictures:
    images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    return Pictures(images.to(device), labels.to(device))


def _test(job: _Job, net: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """Count right answers and pictures of the test split, class by class."""
    plan, labels = job.recipe.train, job.dataset.test.labels
    normalise = Normaliser(job.contract, job.device, channels_last=plan.channels_last)
    images = torch.from_numpy(job.dataset.test.images).to(job.device)
    answers = predict(net, images, normalise).cpu().numpy()
    classes = len(job.dataset.labels)
    right = np.bincount(labels[answers == labels], minlength=classes)
    return right, np.bincount(labels, minlength=classes)


def _write(job: _Job, run: Run, origin: Origin, *, force: bool) -> Bundle:
    from safetensors.torch import save

    weights = {name: _plain(tensor) for name, tensor in run.net.state_dict().items()}
    broken = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ModelError(
            f"The trained weights hold NaN or infinity: {', '.join(broken)}.",
            "Use a lower --learning-rate.",
        )
    manifest = bundles.new_manifest(
        job.output.name,
        job.contract,
        model=origin.model,
        data=origin.data,
        environment=_environment(job),
    )
    return bundles.create(job.output, manifest, {WEIGHTS: save(weights)}, force=force)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    plain = tensor.detach().cpu().contiguous().clone()
    return plain.float() if plain.is_floating_point() else plain


def _environment(job: _Job) -> dict[str, str]:
    from edgecnn.machine import this_machine

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


def _verdict(accuracy: float, required: float | None, name: str) -> Verdict | None:
    if required is None:
        return None
    found = f"{100 * accuracy:.2f} % on {name}"
    if accuracy >= required:
        return Verdict("pass", (f"{found}; the recipe requires {100 * required:.4g} %.",))
    return Verdict(
        "fail", (f"{found}, below the {100 * required:.4g} % that the recipe requires.",)
    )


def _ignore(event: Event) -> None:
    pass
