"""The last whole epoch of a run, kept so that an interrupted run can be resumed.

`NAME.partial/` beside the bundle holds one safetensors file: the weights, the optimizers' state
and the average as tensors, and the rest as JSON in its header. One file, so that it is whole or it
is the one before; no pickle, so that reading it runs nothing.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.optim import Optimizer

from edgecnn.bundle import ModelRef
from edgecnn.disk import write_atomically
from edgecnn.errors import InputError
from edgecnn.recipe import TrainingPlan
from edgecnn.records import from_json, to_builtins, to_json
from edgecnn.spec import DataRef, InputContract
from edgecnn.training.loop import Run
from edgecnn.training.report import Epoch

_FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class Origin:
    """What a run was begun with; it can be resumed only with the same."""

    model: ModelRef
    data: DataRef
    contract: InputContract
    plan: TrainingPlan
    device: str


@dataclass(frozen=True)
class _Progress:
    origin: Origin
    curve: tuple[Epoch, ...]
    cpu_seconds: float


def partial_folder(output: Path) -> Path:
    """Give the folder that holds what is kept of an unfinished run."""
    return output.with_name(f"{output.name}.partial")


def is_kept(output: Path) -> bool:
    """Say whether an unfinished run is kept for this bundle."""
    return (partial_folder(output) / _FILE).is_file()


def keep(run: Run, origin: Origin, output: Path) -> None:
    """Keep a run as it is after an epoch.

    Raises:
        InputError: The disk is full or not writable.
    """
    from safetensors.torch import save

    progress = _Progress(origin, tuple(run.curve), run.cpu_seconds)
    content = save(_tensors(run), {"edgecnn": to_json(progress).decode()})
    write_atomically(partial_folder(output) / _FILE, content)


def resume(run: Run, origin: Origin, output: Path) -> None:
    """Bring a run to where the kept one stands.

    Raises:
        InputError: Nothing is kept, it cannot be read, or it was begun with something else.
    """
    from safetensors import SafetensorError, safe_open

    path = partial_folder(output) / _FILE
    try:
        with safe_open(path, "pt", device="cpu") as file:
            text = (file.metadata() or {}).get("edgecnn", "")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path} cannot be read: {error}.", "Begin anew with --force instead of --resume."
        ) from error
    progress = from_json(_Progress, text.encode(), where=str(path))
    _refuse_other_origin(progress.origin, origin, path)
    _restore(run, tensors)
    run.curve = list(progress.curve)
    run.cpu_seconds = progress.cpu_seconds


def forget(output: Path) -> None:
    """Remove what is kept of an unfinished run, if anything is."""
    shutil.rmtree(partial_folder(output), ignore_errors=True)


def _tensors(run: Run) -> dict[str, torch.Tensor]:
    named = {f"net.{name}": tensor for name, tensor in run.net.state_dict().items()}
    for number, tensor in enumerate(run.average or ()):
        named[f"average.{number}"] = tensor
    for number, optimizer in enumerate(run.optimizers):
        for place, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                if value is not None:
                    named[f"optimizer.{number}.{place}.{name}"] = value
    # safetensors takes neither shared memory nor strides.
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in named.items()}


def _restore(run: Run, tensors: dict[str, torch.Tensor]) -> None:
    run.net.load_state_dict(_under(tensors, "net."))
    for number, optimizer in enumerate(run.optimizers):
        _restore_optimizer(optimizer, _under(tensors, f"optimizer.{number}."))
    average = _under(tensors, "average.")
    if average:
        device = next(run.net.parameters()).device
        run.average = [average[str(number)].to(device) for number in range(len(average))]


def _restore_optimizer(optimizer: Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        place, _, key = name.partition(".")
        state.setdefault(int(place), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    _like_weights(optimizer)


def _like_weights(optimizer: Optimizer) -> None:
    # Another memory layout than the weights' would give other roundings.
    for weights, state in optimizer.state.items():
        for key, value in state.items():
            if value.shape == weights.shape:
                state[key] = torch.empty_like(weights).copy_(value)


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _refuse_other_origin(kept: Origin, now: Origin, path: Path) -> None:
    before, after = _flat(to_builtins(kept)), _flat(to_builtins(now))
    for name in before.keys() | after.keys():
        if before.get(name) != after.get(name):
            raise InputError(
                f"{path.parent} was begun with {name} = {before.get(name)}, "
                f"and now it is {after.get(name)}.",
                "Resume it with what it was begun with, or begin anew with --force.",
            )


def _flat(data: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(data, dict):
        return {prefix.rstrip("."): data}
    return {
        name: value
        for key, inner in data.items()
        for name, value in _flat(inner, f"{prefix}{key}.").items()
    }
