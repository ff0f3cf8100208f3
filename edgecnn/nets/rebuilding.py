"""The net of a bundle, with its weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from edgecnn import shelves
from edgecnn.bundle import WEIGHTS, Bundle, ModelRef
from edgecnn.errors import ModelError
from edgecnn.nets.factories import Factory, find_factory
from edgecnn.nets.making import call, load_state, one_line
from edgecnn.nets.naming import is_shelf_name
from edgecnn.records import file_sha256


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
        net = call(factory, model.arguments)
    try:
        load_state(net, weights)
    except Exception as error:
        raise ModelError(
            f"The weights of {bundle.folder} do not fit {model.source}: {one_line(error)}.",
            "Make the bundle again with `edgecnn train` or `edgecnn import`.",
        ) from error
    return net.eval()


def _weights(bundle: Bundle) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(bundle.read(WEIGHTS))
    except SafetensorError as error:
        raise ModelError(
            f"{bundle.folder / WEIGHTS} holds no weights: {one_line(error)}.",
            "Make the bundle again with `edgecnn train` or `edgecnn import`.",
        ) from error


def _unchanged_factory(model: ModelRef, folder: Path) -> Factory:
    # The digest is compared before the file is loaded: a changed file must not run first.
    place = Path(model.source.rpartition(":")[0])
    if is_shelf_name(model.source):
        place = shelves.shelf("models") / model.source / "model.py"
    if model.sha256 and not place.is_file():
        raise ModelError(
            f"{place}, which defines the model of {folder}, is missing.",
            "Put it back, or make the bundle again with `edgecnn train` or `edgecnn import`.",
        )
    if model.sha256 and file_sha256(place) != model.sha256:
        raise ModelError(
            f"{place} was changed after {folder} was made.",
            "Bring back the file as it was, or make the bundle again with `edgecnn train` or "
            "`edgecnn import`.",
        )
    # With a digest, it was looked at when the bundle was made, and has not changed since.
    return find_factory(model.source, guarded=not model.sha256)
