"""Recipes: what a model is trained on, how, and the accuracy it must then reach."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from edgecnn import shelves
from edgecnn.errors import InputError, RecipeError
from edgecnn.records import from_builtins
from edgecnn.spec import InputContract

GENERIC = "generic"


@dataclass(frozen=True)
class ModelSpec:
    """A net by its source and the arguments of its factory.

    Attributes:
        source: A name on the shelf, `FILE.py:factory`, `package.module:factory`,
            `torchvision:NAME` or `timm:NAME`; empty in the generic recipe.
        arguments: What the factory is called with.
    """

    source: str = ""
    arguments: dict[str, bool | int | float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingPlan:
    """How a net is trained.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images in one step.
        optimizer: `sgd`, `adamw` or `muon`.
        learning_rate: The highest learning rate; with `muon`, AdamW moves biases and norms at a
            fifth of it.
        momentum: Momentum of SGD and Muon.
        nesterov: Nesterov's form of SGD's momentum; Muon's always is.
        weight_decay: Weight decay.
        schedule: `constant`, or `one-cycle`: a linear rise, then a linear fall.
        warmup_fraction: Share of all steps in which a one-cycle schedule rises.
        final_lr_fraction: Share of the highest learning rate at which it ends.
        label_smoothing: Share of the target spread over all classes.
        flip: Mirror images left to right, at random.
        shift: Move images by up to so many pixels in each direction, at random.
        ema: Decay of an average of the weights that replaces them at the end; 0 for none.
        holdout: Training images kept back for the learning curve; never above a tenth of them.
        precision: `fp32`, or `bf16` for autocast.
        channels_last: Keep activations channels-last in memory.
        threads: Threads; another number gives other weights.
        seed: Seed of the weights, the order and the augmentation.
        report_every: Print the mean loss every so many batches; 0 for never.
    """

    epochs: int = 10
    batch_size: int = 128
    optimizer: Literal["sgd", "adamw", "muon"] = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    schedule: Literal["constant", "one-cycle"] = "one-cycle"
    warmup_fraction: float = 0.25
    final_lr_fraction: float = 0.0
    label_smoothing: float = 0.0
    flip: bool = False
    shift: int = 0
    ema: float = 0.0
    holdout: int = 1000
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = False
    threads: int = 1
    seed: int = 0
    report_every: int = 0

    def __post_init__(self) -> None:
        above = ("epochs", "batch_size", "threads", "learning_rate")
        whole = ("weight_decay", "shift", "holdout", "seed", "report_every")
        shares = ("momentum", "label_smoothing", "ema")
        ends = ("warmup_fraction", "final_lr_fraction")
        limits: tuple[tuple[tuple[str, ...], str, Callable[[float], bool]], ...] = (
            (above, "above 0", lambda value: 0 < value < math.inf),
            (whole, "0 or more", lambda value: 0 <= value < math.inf),
            (shares, "0 or more and below 1", lambda value: 0 <= value < 1),
            (ends, "from 0 to 1", lambda value: 0 <= value <= 1),
        )
        for names, words, holds in limits:
            for name in names:
                if not holds(getattr(self, name)):
                    raise RecipeError(
                        f"{name} = {getattr(self, name)} cannot be trained with: it must be "
                        f"{words}.",
                        "Correct the recipe or the option.",
                    )


@dataclass(frozen=True)
class Recipe:
    """A recipe as its TOML file gives it.

    Attributes:
        title: What is learned, as one line for people.
        model: The net.
        input: How pictures become input; labels come from the data.
        data: The data set by default: `synthetic`, `cifar10` or a path.
        train: How it is trained.
        accuracy: The top-1 accuracy (0 to 1) it must reach, by the data set's name.
    """

    title: str
    model: ModelSpec
    input: InputContract
    data: str = "synthetic"
    train: TrainingPlan = TrainingPlan()
    accuracy: dict[str, float] = field(default_factory=dict)


def recipe_names() -> list[str]:
    """List the recipes on the shelf, such as `lenet` and `lenet/tutorial`."""
    root = shelves.shelf("models")
    return sorted(_shelf_name(path) for path in root.glob("*/*.toml"))


def load_recipe(name: str) -> Recipe:
    """Load a recipe by its name on the shelf, or by the path of a TOML file.

    Raises:
        RecipeError: There is no such recipe, or it cannot be read.
    """
    path = _recipe_path(name)
    if path is None:
        raise RecipeError(
            f"There is no recipe '{name}'.",
            f"Use one of {', '.join(recipe_names())}, or the path of a TOML file.",
        )
    try:
        return from_builtins(Recipe, read_toml(path), where=str(path))
    except InputError as error:
        raise RecipeError(error.problem, error.remedy) from error


def override(recipe: Recipe, **changes: Any) -> Recipe:
    """Change a recipe's training plan; changes that are None are left out."""
    given = {key: value for key, value in changes.items() if value is not None}
    return replace(recipe, train=replace(recipe.train, **given))


def parse_arguments(pairs: tuple[str, ...]) -> dict[str, bool | int | float | str]:
    """Read `KEY=VALUE` pairs; values are read as TOML reads them, else as text.

    Raises:
        RecipeError: A pair has no `=`.
    """
    return dict(map(_parse_pair, pairs))


def _parse_pair(pair: str) -> tuple[str, bool | int | float | str]:
    key, equals, text = pair.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"'{pair}' is not KEY=VALUE.", "Write it like --model-arg width=2.")
    try:
        value = _parse_toml(f"value = {text}")["value"]
    except ValueError:
        value = text
    return key.strip().replace("-", "_"), (
        value if isinstance(value, bool | int | float | str) else text
    )


def _recipe_path(name: str) -> Path | None:
    if name.endswith(".toml"):
        return Path(name) if Path(name).is_file() else None
    if not re.fullmatch(r"[\w-]+(/[\w-]+)?", name):
        return None
    folder, _, file = name.partition("/")
    path = shelves.shelf("models") / folder / f"{file or 'recipe'}.toml"
    return path if path.is_file() else None


def _shelf_name(path: Path) -> str:
    return path.parent.name if path.stem == "recipe" else f"{path.parent.name}/{path.stem}"


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        RecipeError: It cannot be read.
    """
    try:
        return _parse_toml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecipeError(f"{path} is not TOML: {error}.", "Mend the file.") from error
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error


def _parse_toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)
