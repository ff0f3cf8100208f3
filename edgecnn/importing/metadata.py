"""What is known of a model's input without asking: its recipe, torchvision's and timm's metadata.

Nothing is downloaded; the metadata come with the packages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgecnn import extras, shelves
from edgecnn.bundle import WEIGHTS
from edgecnn.errors import RecipeError
from edgecnn.importing.contract import ASSUMED, Choice, Facts, as_choice
from edgecnn.nets.naming import TIMM, TORCHVISION, is_shelf_name
from edgecnn.recipe import GENERIC, load_recipe


def facts_of(source: str, weights: Path | None = None) -> list[Facts]:
    """Give what is known of the input of a model by its source, the most trusted first.

    Args:
        source: As in `find_factory`, whose refusals come first.
        weights: The file of weights, whose name may be one that torchvision knows; None for the
            weights on the shelf.
    """
    torch = Facts(Choice(layout="nchw"), "PyTorch", certain=True)
    if source.startswith(TORCHVISION):
        return [torch, _torchvision_facts(source.removeprefix(TORCHVISION), weights)]
    if source.startswith(TIMM):
        return [torch, _timm_facts(source.removeprefix(TIMM))]
    return [torch, *(_shelf_facts(source, own=weights is None) if is_shelf_name(source) else [])]


def cautions(source: str, arguments: Mapping[str, object]) -> list[str]:
    """Give what a model's weights do not show, and what its public weights were made with."""
    transforms = source.removeprefix(TORCHVISION) in {"googlenet", "inception_v3"}
    if not source.startswith(TORCHVISION) or not transforms or "transform_input" in arguments:
        return []
    return [
        "torchvision's public weights of this net, and what was fine-tuned from them, need "
        "--model-arg transform_input=true, which the weights do not show; it was left out."
    ]


def assumed_input() -> Choice:
    """Give what is assumed of a net of which nothing is known: what training assumes as well."""
    known = as_choice(load_recipe(GENERIC).input)
    return Choice(scale=known.scale, mean=known.mean, std=known.std, resize=known.resize)


def _shelf_facts(name: str, *, own: bool) -> list[Facts]:
    facts = []
    try:
        known = as_choice(load_recipe(name).input)
        # A recipe knows the pictures; the labels are the data's, and the outputs the net's.
        choice = replace(known, layout=None, labels=None, output_kind=None, output=None)
        facts.append(Facts(choice, f"{name}'s recipe"))
    except RecipeError:
        pass
    labels = _labels_in(shelves.shelf("models") / name / WEIGHTS)
    source = "the shelf's weights" if own else f"{ASSUMED}, those of the shelf's weights"
    return [*facts, Facts(Choice(labels=labels), source)] if labels else facts


def _labels_in(path: Path) -> tuple[str, ...] | None:
    """Read the classes out of a file's metadata, if they are there: one on each line."""
    from safetensors import safe_open

    if not path.is_file():
        return None
    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get("labels", "")
    return tuple(text.splitlines()) or None


def _torchvision_facts(name: str, path: Path | None) -> Facts:
    from torchvision import models

    weights = models.get_model_weights(name)
    files = {entry.url.rpartition("/")[2]: entry for entry in weights}
    entry = files.get(path.name if path else "", weights.DEFAULT)
    rules = entry.transforms()
    choice = Choice(
        input_size=_square(rules.crop_size),
        color="rgb",
        scale=1 / 255,
        mean=tuple(rules.mean),
        std=tuple(rules.std),
        resize=f"crop {max(_square(rules.resize_size))}",
        filter=str(rules.interpolation.value),
        labels=tuple(entry.meta["categories"]),
    )
    return Facts(choice, f"torchvision's {entry}")


def _square(size: list[int]) -> tuple[int, int]:
    return size[0], size[-1]


def _timm_facts(name: str) -> Facts:
    with extras.quietly():
        from timm.models import get_pretrained_cfg

        known = get_pretrained_cfg(name)
    config: dict[str, Any] = known.to_dict() if known else {}
    _, height, width = config.get("input_size") or (None, None, None)
    choice = Choice(
        input_size=(height, width) if height and width else None,
        color="rgb",
        scale=1 / 255,
        mean=_numbers(config.get("mean")),
        std=_numbers(config.get("std")),
        resize=_timm_resize(config, height),
        filter=config.get("interpolation"),
        labels=_numbers(config.get("label_names")),
    )
    return Facts(choice, "timm's pretrained_cfg")


def _numbers(values: Any) -> tuple[Any, ...] | None:
    return tuple(values) if values else None


def _timm_resize(config: dict[str, Any], height: int | None) -> str | None:
    share, mode = config.get("crop_pct"), config.get("crop_mode", "center")
    if not share or not height:
        return None
    if mode == "squash" and share == 1:
        return "stretch"
    return f"crop {math.floor(height / share)}" if mode == "center" else None
