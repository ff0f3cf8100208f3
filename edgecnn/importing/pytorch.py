"""`edgecnn import --model`: a PyTorch net and its weights become what a bundle is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from edgecnn import shelves
from edgecnn.bundle import WEIGHTS, ModelRef
from edgecnn.data import Dataset
from edgecnn.errors import ModelError
from edgecnn.importing.contract import Choice, Decision, Facts, decide
from edgecnn.importing.fitting import FittedNet, fit_net
from edgecnn.importing.labelled import DataSource, decide_with_data
from edgecnn.importing.metadata import assumed_input, cautions, facts_of
from edgecnn.importing.unwrapping import read_weights
from edgecnn.nets.factories import find_factory
from edgecnn.nets.making import try_forward
from edgecnn.nets.naming import TIMM, TORCHVISION, is_shelf_name, short_name
from edgecnn.nets.outputs import named_outputs
from edgecnn.spec import InputContract

# Two pictures, so that an output without a batch axis is seen.
_TRIED = 2


@dataclass(frozen=True)
class Imported:
    """A PyTorch net as it was read.

    Attributes:
        net: The net with its weights, in eval mode.
        model: Where it comes from.
        weights: The file of its weights.
        decision: Its input contract, as far as it is known without data.
        facts: What that was decided from.
        outputs: Shape of each output for one image, by its name.
        classes: Numbers in the output of scores; None where that is no row of scores.
        notes: What was unwrapped, filled in and changed.
    """

    net: nn.Module
    model: ModelRef
    weights: Path
    decision: Decision
    facts: tuple[Facts, ...]
    outputs: dict[str, tuple[int, ...]]
    classes: int | None
    notes: tuple[str, ...]


def import_net(
    source: str,
    arguments: Mapping[str, bool | int | float | str],
    weights: Path | None,
    choice: Choice,
    *,
    weights_key: str | None = None,
) -> Imported:
    """Make a net, give it its weights, and settle what can be known of its input.

    Args:
        source: As in `find_factory`.
        arguments: What the factory is called with.
        weights: The file of weights; None for those on the shelf.
        choice: The user's part of the contract.
        weights_key: The entry of a checkpoint that holds the weights.

    Raises:
        ModelError: There is no such model, or the weights cannot be read or do not fit.
        InputError: Nobody knows the size of the input.
    """
    file = weights or _shelf_weights(source)
    read = read_weights(file, weights_key)
    factory = find_factory(source)
    facts = facts_of(source, weights)
    fitted = fit_net(factory, dict(arguments), read, choice, facts)
    fitted = replace(fitted, notes=(*fitted.notes, *cautions(source, arguments)))
    return _try_out(fitted, file, choice)


def with_data(
    imported: Imported,
    choice: Choice,
    source: DataSource | None,
    progress: Callable[[str, float], None],
) -> tuple[Imported, Dataset | None]:
    """Load the data, if there is any, and let its classes name the outputs.

    Raises:
        DataError: It cannot be used, or is of other classes than the net.
    """
    decision, dataset = decide_with_data(
        choice,
        imported.facts,
        source,
        classes=imported.classes,
        assumed=assumed_input(),
        progress=progress,
    )
    return replace(imported, decision=decision), dataset


def _shelf_weights(source: str) -> Path:
    path = shelves.shelf("models") / source / WEIGHTS
    if is_shelf_name(source) and path.is_file():
        return path
    raise ModelError(f"{source} comes without weights.", _how_to_get(source))


def _how_to_get(source: str) -> str:
    name = short_name(source)
    makers = {
        TORCHVISION: "torchvision.models.get_model",
        TIMM: "timm.create_model",
    }
    for prefix, maker in makers.items():
        if source.startswith(prefix):
            package, full = maker.partition(".")[0], source.removeprefix(prefix)
            extra = ', weights="DEFAULT"' if prefix == TORCHVISION else ", pretrained=True"
            code = (
                f"import torch, {package}; "
                f'torch.save({maker}("{full}"{extra}).state_dict(), "{name}.pth")'
            )
            return (
                f"Name your file with --weights, or download the public ones with "
                f"`python -c '{code}'` and use --weights {name}.pth."
            )
    return "Name their file with --weights FILE."


def _try_out(fitted: FittedNet, file: Path, choice: Choice) -> Imported:
    """Run the net on noise: what its outputs are, and what they say of themselves."""
    source = fitted.model.source
    draft = decide(choice, fitted.facts, assumed=assumed_input()).contract
    noise = torch.randn(_TRIED, *draft.float_shape, generator=torch.Generator().manual_seed(0))
    answer = try_forward(fitted.net, noise, draft, source)
    scores = _scores(answer, draft, source)
    classes = scores.shape[1] if scores.ndim == 2 and choice.output_kind != "other" else None
    facts = (*_kind(scores), *fitted.facts)
    decision = decide(choice, facts, classes=classes, assumed=assumed_input())
    outputs = named_outputs(answer, decision.contract)
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in outputs.items()}
    return Imported(fitted.net, fitted.model, file, decision, facts, shapes, classes, fitted.notes)


def _scores(answer: object, contract: InputContract, source: str) -> torch.Tensor:
    """Give the output that holds the scores: the one that was named, else the first."""
    outputs = named_outputs(answer, contract)
    name = contract.output or next(iter(outputs))
    if name not in outputs:
        raise ModelError(f"{source} has no output '{name}'.", f"It has {', '.join(outputs)}.")
    for title, tensor in outputs.items():
        if tensor.shape[:1] != (_TRIED,):
            raise ModelError(
                f"The output '{title}' of {source} has the shape {list(tensor.shape)} for "
                f"{_TRIED} pictures: its first axis is no batch.",
                "Let its forward() keep the batch as the first axis.",
            )
    return outputs[name]


def _kind(scores: torch.Tensor) -> list[Facts]:
    if scores.ndim != 2:
        return [Facts(Choice(output_kind="other"), "the output's shape")]
    sums = scores.double().sum(1)
    if scores.shape[1] > 1 and bool((scores >= 0).all()) and bool(((sums - 1).abs() < 1e-3).all()):
        return [Facts(Choice(output_kind="probabilities"), "the outputs, which add up to 1")]
    return []
