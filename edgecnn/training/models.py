"""From a model's description to a net: the shelf, a user's file, a package, torchvision.

Also back again: the net of a bundle, with its weights.
"""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgecnn import shelves
from edgecnn.bundle import WEIGHTS, Bundle, ModelRef
from edgecnn.errors import InputError, ModelError
from edgecnn.recipe import ModelSpec
from edgecnn.records import file_sha256
from edgecnn.spec import InputContract

_TORCHVISION = "torchvision:"


@dataclass(frozen=True)
class Factory:
    """What makes a net.

    Attributes:
        source: The model's source, paths made absolute, so that it is found from anywhere.
        make: Called with the model's arguments.
        file: The file that defines it; None where it comes from an installed package.
        takes_classes: It is told the number of classes even if its signature does not show it.
    """

    source: str
    make: Callable[..., object]
    file: Path | None
    takes_classes: bool = False


def make_net(spec: ModelSpec, contract: InputContract) -> tuple[nn.Module, ModelRef]:
    """Make a net for pictures of this contract, and say where it comes from.

    A factory that has parameters called `num_classes`, `in_channels`, `input_height` or
    `input_width` is given what the data has, unless the user's arguments say otherwise. The first
    weights are drawn from PyTorch's global generator.

    Raises:
        ModelError: There is no such model, or it does not fit the pictures or the classes.
    """
    factory = find_factory(spec.source)
    digest = file_sha256(factory.file) if factory.file else ""
    arguments = {**_from_contract(factory, contract), **spec.arguments}
    net = _call(factory, arguments)
    check_net(net, contract, factory.source)
    return net, ModelRef(factory.source, arguments, digest)


def rebuild(bundle: Bundle) -> nn.Module:
    """Make a bundle's net again, with its trained weights, in eval mode on the CPU.

    Raises:
        ModelError: The bundle has no PyTorch model, or the file that defines it is missing, was
            changed, or no longer fits the weights.
        BundleError: The weights are missing or damaged.
    """
    model = bundle.manifest.model
    if model is None:
        raise ModelError(
            f"{bundle.folder} has no PyTorch model: it was made from an ONNX file.",
            "Use the variants it has; `edgecnn inspect` lists them.",
        )
    factory = _unchanged_factory(model, bundle.folder)
    weights = _weights(bundle)
    with torch.random.fork_rng(devices=[]):
        net = _call(factory, model.arguments)
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"The weights of {bundle.folder} do not fit {model.source}: {_one_line(error)}.",
            "Train it again with `edgecnn train`.",
        ) from error
    return net.eval()


def _weights(bundle: Bundle) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(bundle.read(WEIGHTS))
    except SafetensorError as error:
        raise ModelError(
            f"{bundle.folder / WEIGHTS} holds no weights: {_one_line(error)}.",
            "Train it again with `edgecnn train`.",
        ) from error


def find_factory(source: str) -> Factory:
    """Find what makes the net: on the shelf, in a file or package, or in torchvision.

    Raises:
        ModelError: There is no such model.
    """
    if not source:
        raise ModelError(
            "The recipe names no model.",
            "Name one with --model: a name on the shelf, FILE.py:factory, package.module:factory "
            "or torchvision:NAME.",
        )
    try:
        if source.startswith(_TORCHVISION):
            return _torchvision_factory(source.removeprefix(_TORCHVISION))
        if _is_shelf_name(source):
            file = shelves.model_folder(source) / "model.py"
            return Factory(source, _attribute(f"{file}:Net"), file)
        return _own_factory(source)
    except ModelError:
        raise
    except InputError as error:
        raise ModelError(error.problem, error.remedy) from error


def check_net(net: nn.Module, contract: InputContract, source: str) -> None:
    """Run two blank pictures through a copy of the net, as in training and as in use.

    Raises:
        ModelError: It does not take them, or does not give one number for each class.
    """
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise ModelError(f"{source} has no weights to train.", "Name another model.")
    pictures = torch.zeros(2, contract.channels, contract.height, contract.width)
    for training in (True, False):
        outputs = _try_forward(copy.deepcopy(net).train(training), pictures, contract, source)
        _check_outputs(outputs, len(contract.labels), source)


def parameter_count(net: nn.Module) -> int:
    """Count the weights that training changes."""
    return sum(weights.numel() for weights in net.parameters() if weights.requires_grad)


def short_name(source: str) -> str:
    """Give a short name for a model: that of its factory's file or module, or torchvision's.

    >>> [short_name(s) for s in ("lenet", "my/net.py:make", "a.b:Net", "torchvision:resnet18")]
    ['lenet', 'net', 'b', 'resnet18']
    """
    place, _, factory = source.partition(":")
    if source.startswith(_TORCHVISION):
        return factory
    return Path(place).stem if place.endswith(".py") else place.rpartition(".")[2]


def _unchanged_factory(model: ModelRef, folder: Path) -> Factory:
    # The digest is compared before the file is loaded: a changed file must not run first.
    place = Path(model.source.rpartition(":")[0])
    if _is_shelf_name(model.source):
        place = shelves.shelf("models") / model.source / "model.py"
    if model.sha256 and not place.is_file():
        raise ModelError(
            f"{place}, which defines the model of {folder}, is missing.",
            "Put it back, or train the model again with `edgecnn train`.",
        )
    if model.sha256 and file_sha256(place) != model.sha256:
        raise ModelError(
            f"{place} was changed after {folder} was trained.",
            "Bring back the file as it was, or train the model again with `edgecnn train`.",
        )
    return find_factory(model.source)


def _is_shelf_name(source: str) -> bool:
    return source.replace("-", "_").isidentifier()


def _own_factory(source: str) -> Factory:
    place, _, name = source.partition(":")
    module, make = shelves.load_attribute(source)
    if not place.endswith(".py"):
        return Factory(f"{place}:{name or 'Net'}", _callable(make, source), None)
    file = Path(str(module.__file__)).resolve()
    return Factory(f"{file}:{name or 'Net'}", _callable(make, source), file)


def _attribute(reference: str) -> Callable[..., object]:
    return _callable(shelves.load_attribute(reference)[1], reference)


def _callable(value: object, reference: str) -> Callable[..., object]:
    if isinstance(value, nn.Module) or not callable(value):
        raise ModelError(
            f"{reference} is a {type(value).__name__}, not something that makes a net.",
            "Name a class or a function that returns the net.",
        )
    return value


def _torchvision_factory(name: str) -> Factory:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        close = difflib.get_close_matches(name, known, 3) or ["resnet18", "mobilenet_v2"]
        raise ModelError(
            f"torchvision has no classification model '{name}'.",
            f"Did you mean {' or '.join(f'torchvision:{other}' for other in close)}?",
        )
    build = models.get_model_builder(name)

    def make(**arguments: Any) -> object:
        return build(weights=None, **arguments)

    return Factory(f"{_TORCHVISION}{name}", make, None, takes_classes=True)


def _from_contract(
    factory: Factory, contract: InputContract
) -> dict[str, bool | int | float | str]:
    facts = {
        "num_classes": len(contract.labels),
        "in_channels": contract.channels,
        "input_height": contract.height,
        "input_width": contract.width,
    }
    try:
        parameters = set(inspect.signature(factory.make).parameters)
    except ValueError:
        parameters = set()
    if factory.takes_classes:
        parameters.add("num_classes")
    return {name: value for name, value in facts.items() if name in parameters}


def _call(factory: Factory, arguments: Mapping[str, object]) -> nn.Module:
    shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    try:
        net = factory.make(**arguments)
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"{factory.source} makes no net from ({shown}): "
            f"{type(error).__name__}: {_one_line(error)}.",
            f"It takes {inspect.signature(factory.make)}; give arguments as "
            "--model-arg NAME=VALUE.",
        ) from error
    if not isinstance(net, nn.Module):
        raise ModelError(
            f"{factory.source} makes a {type(net).__name__}, not a torch.nn.Module.",
            "Name a class or a function that returns the net.",
        )
    return net


def _try_forward(
    net: nn.Module, pictures: torch.Tensor, contract: InputContract, source: str
) -> object:
    try:
        with torch.no_grad():
            return net(pictures)
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"{source} does not take pictures of {contract.height}x{contract.width} with "
            f"{contract.channels} channels: {type(error).__name__}: {_one_line(error)}.",
            "Change the pictures with --input-size or --color, or the net with --model-arg.",
        ) from error


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


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or "no reason given"
