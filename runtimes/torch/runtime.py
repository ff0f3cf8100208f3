"""PyTorch itself, eager and compiled: the baseline that people know.

It reads programs of the format `torch` (`edgecnn export --format torch`): the net's own operators,
its preprocessing in front, and its weights, without the model's code.

Options:
    mode: `eager` (default), one operator after the other; or `compiled`, by torch.compile, for each
        batch size that comes. Compiling needs a C++ compiler and takes up to a minute.
    precision: `fp32` (default); `bf16`, weights and all between layers in bfloat16, the
        preprocessing included; or `tf32`, on GPUs, which round what they multiply to 10 bits.
"""

# The tuner never tries `compiled`: it takes longer than all else together, and is never fastest.

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from typing import TYPE_CHECKING, Any, cast

from edgecnn.runtime import Availability, Converted, Options, Variant, choose_options, gpu

if TYPE_CHECKING:
    from .session import TorchSession

NAME = "torch"
FORMATS = frozenset({"torch"})
PROVIDERS = ("cpu", "cuda")
OPTIONS = {"mode": ("eager", "compiled"), "precision": ("fp32", "bf16", "tf32")}
CONVERTS_NET = True
LIMITS = {
    "inputs": "A net that is converted has one input.",
    "int8": "A net is converted in fp32.",
}

_INSTALL = "`pip install 'edgecnn[train]'`"


def availability(provider: str) -> Availability:
    """Say whether PyTorch is there, and a GPU where one is asked for; PyTorch is not imported."""
    torch = find_spec("torch")
    if torch is None or find_spec("safetensors") is None:
        reason = "PyTorch is not installed, or safetensors is not."
        return _no(reason, f"Install them with {_INSTALL}.")
    versions = {name: version(name) for name in ("torch", "safetensors")}
    if provider not in PROVIDERS:
        reason = f"The runtime 'torch' has no provider '{provider}'; it has {', '.join(PROVIDERS)}."
        return _no(reason, "Use `--provider cpu`.", versions)
    if provider == "cuda":
        return _on_gpu(_built_for(str(torch.origin)), versions)
    return Availability(ok=True, versions=versions)


def _built_for(origin: str) -> str | None:
    # It is all that this file says, and importing torch takes two seconds.
    return cast("str | None", run_path(str(Path(origin).parent / "version.py")).get("cuda"))


def _on_gpu(cuda: str | None, versions: dict[str, str]) -> Availability:
    if cuda is None:
        reason = f"torch {versions['torch']} was built without CUDA."
        return _no(reason, "Install another build of it; https://pytorch.org says how.", versions)
    found = gpu.nvidia()
    if not found.gpus:
        reason = f"PyTorch has no NVIDIA GPU to run on: {found.problem}."
        return _no(reason, "Use `--provider cpu` here.", versions)
    if found.cuda and float(found.cuda) < int(cuda.partition(".")[0]):
        reason = f"torch {versions['torch']} needs CUDA {cuda}, the driver has {found.cuda}."
        return _no(reason, "Install a newer driver from https://www.nvidia.com/drivers.", versions)
    return Availability(ok=True, versions=versions)


def open_session(
    variant: Variant, *, provider: str, threads: int, options: Options
) -> TorchSession:
    """Open a program on a CPU or a GPU.

    Raises:
        InputError: An option is unknown.
        UnavailableError: It is to be compiled, and there is no C++ compiler.
        ModelError: The file is no program, or PyTorch cannot run it.
    """
    from .session import make_session

    return make_session(variant, provider, threads, choose_options(NAME, OPTIONS, options))


def convert(
    source: Variant, folder: Path, *, name: str, options: Mapping[str, str], net: Any
) -> Converted:
    """Write a bundle's net as a program; the arguments are the contract's.

    Raises:
        InputError: The source is no fp32 variant that takes pixels.
        ModelError: torch.export cannot trace the net.
    """
    from .converting import write_program

    choose_options(NAME, {}, options)
    return write_program(source, folder, name, net)


def _no(reason: str, remedy: str, versions: dict[str, str] | None = None) -> Availability:
    return Availability(ok=False, reason=reason, remedy=remedy, versions=versions or {})
