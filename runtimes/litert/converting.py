"""From a bundle's PyTorch net to a `.tflite` file, by litert-torch."""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgecnn.errors import InputError, ModelError
from edgecnn.runtime import Converted, Variant


class _Named(nn.Module):
    """Answers with a dict, whose keys name the file's outputs."""

    __module__ = "edgecnn"  # gets into the file; a shelf's own comes from a folder here

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(zip(self.net.output_names, self.net(*inputs.values()), strict=True))


def write_tflite(source: Variant, folder: Path, name: str, net: Any) -> Converted:
    """Write a net as a file for batches of one.

    Args:
        source: The bundle's fp32 variant that it will be held against.
        folder: Where the file goes.
        name: Name of the new variant.
        net: `edgecnn.nets.PixelNet`.

    Raises:
        InputError: The variant is no fp32 one that takes pixels.
        ModelError: litert-torch cannot convert the net.
    """
    if source.precision != "fp32" or not source.preprocessing:
        raise InputError(
            f"A .tflite file is made of the net itself, in fp32 and with its preprocessing, so it "
            f"cannot be made from '{source.name}'.",
            "Leave --from out.",
        )
    import litert_torch

    file, example = f"{name}.tflite", {net.input_name: net.example(1)}
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # it tells each of its steps
            model = litert_torch.convert(_Named(net).eval(), sample_kwargs=example)
            model.export(str(folder / file))
    except Exception as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise ModelError(
            f"litert-torch cannot convert the net: {reason}.",
            "Change that part of its forward(), or use another --format.",
        ) from error
    return Converted((file,), batch=1, settings={"litert-torch": version("litert-torch")})
