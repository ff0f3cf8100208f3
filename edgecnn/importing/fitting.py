"""A net and the weights for it: how many classes and channels they are of, and whether they fit."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from edgecnn import extras
from edgecnn.bundle import ModelRef
from edgecnn.errors import ModelError
from edgecnn.importing.contract import Choice, Facts, decide
from edgecnn.importing.metadata import assumed_input
from edgecnn.importing.unwrapping import State, Weights, listed, match_names, quoted, to_float32
from edgecnn.nets.factories import Factory
from edgecnn.nets.making import Arguments, call, fitting, load_state, one_line, reference_to

_COUNTER = "num_batches_tracked"
_PROBE_CLASSES = 2


@dataclass(frozen=True)
class FittedNet:
    """A net that carries its weights, in eval mode.

    Attributes:
        net: The net.
        model: Where it comes from.
        facts: What is known of its input, what its weights say included.
        notes: What was unwrapped, filled in and changed.
    """

    net: nn.Module
    model: ModelRef
    facts: tuple[Facts, ...]
    notes: tuple[str, ...]


def fit_net(
    factory: Factory, given: Arguments, weights: Weights, choice: Choice, facts: Sequence[Facts]
) -> FittedNet:
    """Make a net and give it weights.

    Classes and grey input that are not given are read off the weights, where the factory takes
    `num_classes` and `in_channels`.

    Args:
        factory: What makes the net.
        given: Arguments that the user gave.
        weights: The weights, as the file has them.
        choice: The user's part of the contract.
        facts: What travels with the model.

    Raises:
        ModelError: The net cannot be made, or the weights do not fit.
        InputError: Nobody knows the size of the input.
    """
    arguments = _arguments(factory, given, choice, facts)
    net = _make(factory, arguments)
    matched = match_names(weights, net.state_dict())
    grey = _first_convolution_is_grey(net, matched.state)
    if grey and choice.color is None:
        known = Facts(Choice(color="gray"), "the weights' first layer", certain=True)
        facts = (known, *facts)
    again = _arguments(factory, given, choice, facts) | _read_off(factory, given, net, matched)
    if again != arguments:
        net = _make(factory, again)
        matched = match_names(weights, net.state_dict())
    _refuse_misfit(factory, net, matched)
    own = net.state_dict()
    matched = to_float32(matched, {name for name in own if own[name].is_floating_point()})
    counters = _load(factory, net, matched)
    told = [
        f"Read off the weights: {name}={value}."
        for name, value in again.items()
        if value != arguments.get(name)
    ]
    return FittedNet(
        net.eval(),
        reference_to(factory, again),
        tuple(facts),
        (*matched.notes, *told, *counters),
    )


def _arguments(
    factory: Factory, given: Arguments, choice: Choice, facts: Sequence[Facts]
) -> Arguments:
    contract = decide(choice, facts, assumed=assumed_input()).contract
    classes = len(choice.labels) if choice.labels else None
    if classes is None and _must_be_told(factory):
        classes = _PROBE_CLASSES
    return {**fitting(factory, contract, classes=classes), **given}


def _must_be_told(factory: Factory) -> bool:
    """Say whether the factory takes a number of classes and has none of its own."""
    try:
        parameter = inspect.signature(factory.make).parameters.get("num_classes")
    except (ValueError, TypeError):
        return False
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _make(factory: Factory, arguments: Arguments) -> nn.Module:
    with torch.random.fork_rng(devices=[]), extras.quietly():
        return call(factory, arguments)


def _first_convolution_is_grey(net: nn.Module, state: State) -> bool:
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            kernel = state.get(f"{name}.weight")
            return kernel is not None and kernel.ndim == 4 and kernel.shape[1] == 1
    return False


def _read_off(factory: Factory, given: Arguments, net: nn.Module, weights: Weights) -> Arguments:
    found: Arguments = {}
    takes = factory.parameters()
    if "num_classes" in takes and takes["num_classes"] not in given:
        found |= _classes(takes["num_classes"], net, weights)
    auxiliary = any(name.startswith("aux") for name in net.state_dict())
    if "aux_logits" in takes and "aux_logits" not in given and auxiliary:
        has = any(name.startswith("aux") for name in weights.state)
        found |= {} if has else {"aux_logits": False}
    return found


def _classes(name: str, net: nn.Module, weights: Weights) -> Arguments:
    """Read the number of classes off the last layer, where the weights have others."""
    for key, own in reversed(net.state_dict().items()):
        found = weights.state.get(key)
        if found is not None and found.ndim and not _alike(own, found):
            return {name: found.shape[0]} if found.shape[1:] == own.shape[1:] else {}
    return {}


def _alike(own: torch.Tensor, found: torch.Tensor) -> bool:
    # A lazy layer takes its shape from the weights.
    return is_lazy(own) or own.shape == found.shape


def _refuse_misfit(factory: Factory, net: nn.Module, weights: Weights) -> None:
    own, state = net.state_dict(), weights.state
    missing = [name for name in own if name not in state and not name.endswith(_COUNTER)]
    extra = [name for name in state if name not in own]
    misshapen = [
        f"{name} is {list(state[name].shape)}, the net's {list(own[name].shape)}"
        for name in own
        if name in state and not _alike(own[name], state[name])
    ]
    parts = (("missing", missing), ("not the net's", extra), ("of another shape", misshapen))
    found = [f"{len(names)} {what} ({listed(names)})" for what, names in parts if names]
    if found:
        raise ModelError(
            f"{weights.path} does not fit {factory.source}: {'; '.join(found)}.",
            _how_to_fit(factory, weights, alien=not own.keys() & state.keys()),
        )


def _how_to_fit(factory: Factory, weights: Weights, *, alien: bool) -> str:
    takes = factory.parameters().values()
    said = [f"--model-arg {quoted(f'{k}={v}')}" for k, v in weights.settings.items() if k in takes]
    if said:
        return f"The checkpoint itself says {' '.join(said)}."
    if alien:
        return "These are the weights of another net: name it with --model."
    size = ", and --input-size as it was trained" if "input_height" in takes else ""
    return f"Name the net that they are of, its arguments with --model-arg NAME=VALUE{size}."


def _load(factory: Factory, net: nn.Module, weights: Weights) -> list[str]:
    own = net.state_dict()
    absent = [name for name in own if name not in weights.state]
    try:
        load_state(net, {**{name: own[name] for name in absent}, **weights.state})
    except Exception as error:  # a net's own code reads it
        raise ModelError(
            f"{factory.source} cannot read {weights.path}: {one_line(error)}.",
            "Mend what it does in load_state_dict.",
        ) from error
    if not absent:
        return []
    return [f"{len(absent)} counters of batch norm ({_COUNTER}) are missing, and not needed."]
