"""A session of PyTorch: a program as a module, run as it is or compiled."""

from __future__ import annotations

import logging
import os
import shutil
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch._inductor.config
from numpy.typing import NDArray

from edgecnn.errors import ModelError, RuntimeCrashed, UnavailableError
from edgecnn.runtime import OTHER_ENGINE, Variant

from .program import Program, one_line, read_program

if TYPE_CHECKING:
    from edgecnn.runtime import Arrays

_NUMBERS = {"fp32": torch.float32, "bf16": torch.bfloat16, "tf32": torch.float32}
# Each shape has a compiled module of its own: torch.compile gives up on one that had many, and
# runs it eagerly without a word.
_KEPT_SHAPES = 4
_Run = Callable[..., tuple[torch.Tensor, ...]]


class TorchSession:
    """A program, ready to run.

    Args:
        program: What it computes.
        place: Where.
        precision: `fp32`, `bf16` or `tf32`.
        threads: Threads within an operator, on a CPU.
        compiled: torch.compile it.
    """

    def __init__(
        self, program: Program, place: torch.device, precision: str, threads: int, *, compiled: bool
    ) -> None:
        self._program = program
        self._place = place
        self._threads = threads
        self._compiled = compiled
        self._asked = precision
        self._ready: OrderedDict[tuple[torch.Size, ...], _Run] = OrderedDict()
        self._module = self._make_module()
        self.inputs, self.outputs = program.inputs, program.outputs
        self.provider = next(self._module.buffers(), torch.empty(0, device=place)).device.type
        # A CPU has no TF32: whoever asked for it is told that this is fp32.
        self.precision = "fp32" if precision == "tf32" and self.provider == "cpu" else precision

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs, by name."""
        try:
            values = self.prepare(inputs)()
        except RuntimeError as error:
            raise RuntimeCrashed(
                f"PyTorch failed in a run: {one_line(error)}.", OTHER_ENGINE
            ) from error
        # An operator may hand on its input: the caller gets a copy.
        return {spec.name: np.array(v) for spec, v in zip(self.outputs, values, strict=True)}

    def prepare(self, inputs: Arrays) -> Callable[[], list[NDArray[np.generic]]]:
        """Give the module on these inputs, from and to arrays in the CPU's memory."""
        self._choose()
        tensors = [_tensor(inputs[spec.name]) for spec in self.inputs]
        run = self.make_ready(tensors)
        place, dtypes = self._place, [getattr(torch, spec.dtype) for spec in self.outputs]

        def call() -> list[NDArray[np.generic]]:
            with torch.inference_mode():
                values = run(*(tensor.to(place) for tensor in tensors))
                return [v.to("cpu", d).numpy() for v, d in zip(values, dtypes, strict=True)]

        return call

    def make_ready(self, tensors: list[torch.Tensor]) -> _Run:
        """Give what computes inputs of these shapes; compiling it takes its time here.

        Raises:
            UnavailableError: It cannot be compiled here.
        """
        if not self._compiled:
            return self._module
        shapes = tuple(tensor.shape for tensor in tensors)
        if shapes not in self._ready:
            self._ready[shapes] = _compile(self._make_module(), tensors, self._place)
            if len(self._ready) > _KEPT_SHAPES:
                self._ready.popitem(last=False)
        self._ready.move_to_end(shapes)
        return self._ready[shapes]

    def warm(self) -> None:
        """Compute black images once, to let fail what fails; one where the batch is open."""
        shapes = {s.name: [1 if isinstance(n, str) else n for n in s.shape] for s in self.inputs}
        self.prepare({s.name: np.zeros(shapes[s.name], s.dtype) for s in self.inputs})()

    def close(self) -> None:
        """Let go of the modules."""
        self._ready.clear()
        del self._module

    def _make_module(self) -> torch.fx.GraphModule:
        return self._program.module(self._place, _NUMBERS[self._asked])

    def _choose(self) -> None:
        # Both belong to the process, and another session may have changed them.
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        torch.backends.cuda.matmul.allow_tf32 = self._asked == "tf32"
        torch.backends.cudnn.allow_tf32 = self._asked == "tf32"


def make_session(
    variant: Variant, provider: str, threads: int, chosen: Mapping[str, str]
) -> TorchSession:
    """Open a program; the arguments are those of `open_session`, its options complete.

    Raises:
        UnavailableError: PyTorch finds no GPU, or is to compile without a C++ compiler.
        ModelError: The file is no program, or PyTorch cannot run it.
    """
    if provider == "cuda" and not torch.cuda.is_available():
        raise UnavailableError(
            "PyTorch does not find the GPU that is here.", "Run `edgecnn doctor`, or use the CPU."
        )
    compiled = chosen["mode"] == "compiled"
    if compiled and provider == "cpu":
        _refuse_without_compiler()
    program = read_program(variant.path)
    try:
        session = TorchSession(
            program, torch.device(provider), chosen["precision"], threads, compiled=compiled
        )
        session.warm()
    except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(
            f"PyTorch cannot run {variant.path}: {one_line(error)}.",
            "Make it anew with `edgecnn export --format torch`.",
        ) from error
    return session


def _refuse_without_compiler() -> None:
    # torch.compile asks for the same one.
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise UnavailableError(
            f"torch.compile needs a C++ compiler, and there is no '{compiler}' here.",
            "Install one with `apt-get install g++`, or leave out `--option mode=compiled`.",
        )


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    if min(array.strides, default=0) < 0:  # which NumPy overlooks where the axis has one entry
        array = array.copy()
    return torch.from_numpy(np.require(array, None, ["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"]))


def _compile(
    module: torch.fx.GraphModule, tensors: list[torch.Tensor], place: torch.device
) -> _Run:
    # Helpers would outlive the compiling, and be there while something is measured.
    torch._inductor.config.compile_threads = 1
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # that there is no CUDA
    compiled: Any = torch.compile(module, dynamic=False, fullgraph=True)
    try:
        with torch.inference_mode():
            compiled(*(tensor.to(place) for tensor in tensors))
    except Exception as error:
        raise UnavailableError(
            f"torch.compile failed: {one_line(error)}.", "Leave out `--option mode=compiled`."
        ) from error
    return compiled  # type: ignore[no-any-return]
