"""ncnn, on the CPU: full float32 unless asked otherwise, one image at a time.

Its models are made by `edgecnn export --format ncnn`, through pnnx. The preprocessing is the first
layer of the model (`Scale`); ncnn itself takes the pixels apart by channel and makes floats of
them, as a C++ program on a device does with `ncnn::Mat::from_pixels`.

Options:
    precision: `fp32` (default), `fp16` or `bf16`: how weights and what passes between layers are
        stored. ncnn's own default is fp16, and bf16 where a program allows it. Where the CPU has
        no arithmetic in that format, as x86 has none in fp16, sums are still float32.
    winograd: `on` (default) or `off`: whether 3x3 convolutions may be computed with fewer
        multiplications, which rounds more: up to ten times the error of plain sums.
"""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors import ModelError
from edgecnn.runtime import Availability, Options, Variant, choose_options, package_availability

from .converting import CONVERT_OPTIONS, convert
from .facts import read_facts
from .param import check_layers
from .session import OPTIONS, NcnnSession, open_net

__all__ = [
    "CONVERT_OPTIONS",
    "FORMATS",
    "LIMITS",
    "NAME",
    "OPTIONS",
    "PROVIDERS",
    "TUNED",
    "availability",
    "convert",
    "open_session",
]

NAME = "ncnn"
FORMATS = frozenset({"ncnn"})
PROVIDERS = ("cpu",)
TUNED = ("winograd",)
LIMITS = {
    "batch": "ncnn has no batch axis: a model takes one image at a time.",
    "inputs": "ncnn's models are made here for a single image.",
    "int8": "pnnx makes no working ncnn model of quantized operators.",
    "types": "ncnn computes floats alone.",
}


def availability(provider: str) -> Availability:
    """Say whether the ncnn package is there."""
    packages = {"ncnn": "ncnn"}
    return package_availability(NAME, provider, PROVIDERS, packages, "edgecnn[ncnn]")


def open_session(variant: Variant, *, provider: str, threads: int, options: Options) -> NcnnSession:
    """Open a model that `convert` wrote.

    Raises:
        InputError: An option is unknown.
        ModelError: A file is missing or damaged, or ncnn has no such layer.
    """
    chosen = choose_options(NAME, OPTIONS, options)
    param, weights, described = _files(variant)
    facts = read_facts(described)
    check_layers(param)
    if not weights.is_file() or weights.stat().st_size != facts.bytes:
        raise _refusal(weights, "it is not the file of weights that was written")
    return open_net(param, weights, facts, chosen, threads)


def _files(variant: Variant) -> tuple[Path, Path, Path]:
    if len(variant.files) != 3:
        raise _refusal(variant.path, "its .bin and .json are not beside it")
    param, weights, described = map(Path, variant.files)
    return param, weights, described


def _refusal(path: Path, why: str) -> ModelError:
    return ModelError(
        f"ncnn refuses {path}: {why}.", "Make it anew with `edgecnn export --format ncnn`."
    )
