"""What makes a net: on the shelf, in a user's file or package, in torchvision, in timm."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from edgecnn import extras, shelves
from edgecnn.errors import InputError, ModelError
from edgecnn.nets.guard import check_import
from edgecnn.nets.naming import TIMM, TORCHVISION, is_shelf_name

USAGE = (
    "a name on the shelf, FILE.py:factory, package.module:factory, torchvision:NAME or timm:NAME"
)

# What torchvision's signatures hide.
_EXTRA = {"googlenet": ("aux_logits",), "inception_v3": ("aux_logits",)}


@dataclass(frozen=True)
class Factory:
    """What makes a net.

    Attributes:
        source: The model's source, paths made absolute, so that it is found from anywhere.
        make: Called with the model's arguments.
        file: The file that defines it; None where it comes from an installed package.
        told: Arguments that it takes even if its signature does not show them, and how it calls
            what edgecnn calls `num_classes`, `in_channels`, `input_height` and `input_width`.
    """

    source: str
    make: Callable[..., object]
    file: Path | None
    told: tuple[tuple[str, str], ...] = ()

    def parameters(self) -> dict[str, str]:
        """Name the arguments that it takes: what edgecnn calls them, and what it does."""
        try:
            shown = set(inspect.signature(self.make).parameters)
        except (ValueError, TypeError):
            shown = set()
        return {name: name for name in shown} | dict(self.told)


def find_factory(source: str, *, guarded: bool = True) -> Factory:
    """Find what makes the net.

    Args:
        source: The model's source.
        guarded: Look at a user's own file before it is imported, whether it does more than define
            a net.

    Raises:
        ModelError: There is no such model, or importing it does a script's work.
        UnavailableError: timm is asked for and not installed.
    """
    if not source:
        raise ModelError("The recipe names no model.", f"Name one with --model: {USAGE}.")
    try:
        if source.startswith(TORCHVISION):
            return _torchvision_factory(source.removeprefix(TORCHVISION))
        if source.startswith(TIMM):
            return _timm_factory(source.removeprefix(TIMM))
        if is_shelf_name(source):
            file = shelves.model_folder(source) / "model.py"
            return Factory(source, _attribute(f"{file}:Net"), file)
        if guarded:
            check_import(source)
        return _own_factory(source)
    except ModelError:
        raise
    except InputError as error:
        raise ModelError(error.problem, error.remedy) from error


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
        raise _unknown("torchvision has no classification model", TORCHVISION, name, known)
    build = models.get_model_builder(name)

    def make(**arguments: Any) -> object:
        # Without weights some builders warn that they draw slowly.
        with extras.quietly():
            return build(weights=None, **arguments)

    told = [(argument, argument) for argument in ("num_classes", *_EXTRA.get(name, ()))]
    return Factory(f"{TORCHVISION}{name}", make, None, tuple(told))


def _timm_factory(name: str) -> Factory:
    extras.require(f"--model {TIMM}{name}", "timm")
    with extras.quietly():
        import timm
    if not timm.is_model(name):
        known = timm.list_models() + timm.list_pretrained()
        raise _unknown("timm has no model", TIMM, name, known)

    def make(**arguments: Any) -> object:
        with extras.quietly():
            return timm.create_model(name, pretrained=False, **arguments)

    told = (("num_classes", "num_classes"), ("in_channels", "in_chans"))
    return Factory(f"{TIMM}{name}", make, None, told)


def _unknown(problem: str, prefix: str, name: str, known: list[str]) -> ModelError:
    close = difflib.get_close_matches(name, known, 3) or ["resnet18"]
    return ModelError(
        f"{problem} '{name}'.", f"Did you mean {' or '.join(f'{prefix}{one}' for one in close)}?"
    )
