"""A net from its factory and the pictures it is for."""

from __future__ import annotations

import copy
import inspect
from collections import OrderedDict
from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import nn

from edgecnn.bundle import ModelRef
from edgecnn.errors import ModelError
from edgecnn.nets.factories import Factory, find_factory
from edgecnn.recipe import ModelSpec
from edgecnn.records import file_sha256
from edgecnn.spec import InputContract

_VERSIONS = "_metadata"

Arguments: TypeAlias = dict[str, bool | int | float | str]


def make_net(spec: ModelSpec, contract: InputContract) -> tuple[nn.Module, ModelRef]:
    """Make a net for pictures of this contract, and say where it comes from.

    A factory that has parameters called `num_classes`, `in_channels`, `input_height` or
    `input_width` is given what the data has, unless the user's arguments say otherwise. The first
    weights are drawn from PyTorch's global generator.

    Raises:
        ModelError: There is no such model, or it does not fit the pictures or the classes.
    """
    factory = find_factory(spec.source)
    arguments = {
        **fitting(factory, contract, classes=len(contract.labels)),
        **spec.arguments,
    }
    reference = reference_to(factory, arguments)
    net = call(factory, arguments)
    check_net(net, contract, factory.source)
    return net, reference


def reference_to(factory: Factory, arguments: Arguments) -> ModelRef:
    """Describe a net so that it is found and made again; its file is read now."""
    return ModelRef(factory.source, arguments, file_sha256(factory.file) if factory.file else "")


def fitting(factory: Factory, contract: InputContract, *, classes: int | None) -> Arguments:
    """Give the arguments that fit a factory to pictures and classes, as far as it takes them."""
    facts = {
        "num_classes": classes,
        "in_channels": contract.channels,
        "input_height": contract.height,
        "input_width": contract.width,
    }
    takes = factory.parameters()
    return {
        takes[name]: value for name, value in facts.items() if name in takes and value is not None
    }


def call(factory: Factory, arguments: Mapping[str, object]) -> nn.Module:
    """Call a factory.

    Raises:
        ModelError: It fails, or makes something else than a net.
    """
    shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    try:
        net = factory.make(**arguments)
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"{factory.source} makes no net from ({shown}): "
            f"{type(error).__name__}: {one_line(error)}.",
            f"It takes {inspect.signature(factory.make)}; give arguments as "
            "--model-arg NAME=VALUE.",
        ) from error
    if not isinstance(net, nn.Module):
        raise ModelError(
            f"{factory.source} makes a {type(net).__name__}, not a torch.nn.Module.",
            "Name a class or a function that returns the net.",
        )
    return net


def check_net(net: nn.Module, contract: InputContract, source: str) -> None:
    """Run two blank pictures through a copy of the net, as in training and as in use.

    Raises:
        ModelError: It does not take them, or does not give one number for each class.
    """
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise ModelError(f"{source} has no weights to train.", "Name another model.")
    pictures = torch.zeros(2, *contract.float_shape)
    for training in (True, False):
        outputs = try_forward(copy.deepcopy(net).train(training), pictures, contract, source)
        _check_outputs(outputs, len(contract.labels), source)


def try_forward(
    net: nn.Module, pictures: torch.Tensor, contract: InputContract, source: str
) -> object:
    """Give what a net answers to some pictures.

    Raises:
        ModelError: It does not take pictures of this contract.
    """
    try:
        with torch.no_grad():
            return net(pictures)
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"{source} does not take pictures of {contract.height}x{contract.width} with "
            f"{contract.channels} channels: {type(error).__name__}: {one_line(error)}.",
            "Change the pictures with --input-size or --color, or the net with --model-arg.",
        ) from error


def parameter_count(net: nn.Module) -> int:
    """Count the weights that training changes."""
    return sum(weights.numel() for weights in net.parameters() if weights.requires_grad)


def load_state(net: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Give a net its state, all of it, as a file without PyTorch's own versions holds it.

    Raises:
        RuntimeError: It does not fit; a net's own code may raise other errors.
    """
    # Some nets (torchvision's mnasnet) refuse a state that does not name its version.
    versioned = OrderedDict(state)
    setattr(versioned, _VERSIONS, getattr(net.state_dict(), _VERSIONS))
    net.load_state_dict(versioned)


def plain_state(net: nn.Module) -> dict[str, torch.Tensor]:
    """Give a net's state as safetensors takes it: on the CPU, in float32, each memory its own."""
    return {name: plain(tensor) for name, tensor in net.state_dict().items()}


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """Copy a tensor to the CPU without strides, floating point as float32."""
    copied = tensor.detach().cpu().contiguous().clone()
    return copied.float() if copied.is_floating_point() else copied


def one_line(error: BaseException) -> str:
    """Give an error's text on one line, without its full stop."""
    return " ".join(str(error).split()).rstrip(".") or "no reason given"


def _check_outputs(outputs: object, classes: int, source: str) -> None:
    if not isinstance(outputs, torch.Tensor):
        raise ModelError(
            f"{source} gives a {type(outputs).__name__}, not one tensor of class scores.",
            "Switch extra outputs off (such as --model-arg aux_logits=false), or wrap the net.",
        )
    if tuple(outputs.shape) != (2, classes):
        raise ModelError(
            f"{source} gives outputs of shape {list(outputs.shape)} for 2 pictures, but the data "
            f"has {classes} classes: [2, {classes}] is needed.",
            f"Write {classes} into its last layer, or let {source} take an argument num_classes: "
            "edgecnn fills it in.",
        )
