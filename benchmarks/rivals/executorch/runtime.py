"""ExecuTorch with XNNPACK, from Python: a bundle's PyTorch net, lowered and run, in fp32.

What XNNPACK does not take, such as the cast from pixels, runs on ExecuTorch's portable kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from edgecnn.errors import UnavailableError
from edgecnn.runtime import Availability, Options, TensorSpec, Variant, choose_options
from edgecnn.shelves import load_runtime

NAME = "executorch"
FORMATS = frozenset({"torch"})
PROVIDERS = ("cpu",)
MOST_THREADS = 1


@dataclass
class ExecutorchSession:
    """A method of a loaded program."""

    program: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    provider = "cpu"

    def __post_init__(self) -> None:
        self.method = self.program.load_method("forward")

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Compute the outputs, by name."""
        found = self.prepare(inputs)()
        assert isinstance(found, (list, tuple))
        return {spec.name: each.numpy() for spec, each in zip(self.outputs, found, strict=True)}

    def prepare(self, inputs: Mapping[str, Any]) -> Callable[[], object]:
        """Give the call on these inputs."""
        import torch

        given = [torch.from_numpy(inputs[spec.name].copy()) for spec in self.inputs]
        return partial(self.method.execute, given)

    def close(self) -> None:
        """Leave it to the process."""


def availability(provider: str) -> Availability:
    """Say whether ExecuTorch is here."""
    if find_spec("executorch") is None:
        return Availability(ok=False, reason="ExecuTorch is not installed.", remedy="")
    return Availability(ok=True, versions={"executorch": version("executorch")})


def open_session(
    variant: Variant, *, provider: str, threads: int, options: Options
) -> ExecutorchSession:
    """Lower and load a program for batches of one.

    Raises:
        UnavailableError: ExecuTorch cannot lower it.
    """
    choose_options(NAME, {}, options)
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime

    torch.set_num_threads(threads)
    reading = import_module(".program", load_runtime("torch").__package__)
    source = reading.read_program(variant.path)
    specs = [
        tuple(replace(each, shape=(1, *each.shape[1:])) for each in given)
        for given in (source.inputs, source.outputs)
    ]
    (given,) = specs[0]
    example = torch.zeros(given.shape, dtype=getattr(torch, given.dtype))
    net = source.module(torch.device("cpu"), torch.float32)
    try:
        exported = torch.export.export(net, (example,))
        lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
        content = lowered.to_executorch().buffer
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise UnavailableError(f"ExecuTorch cannot lower the net: {reason}", "") from error
    return ExecutorchSession(Runtime.get().load_program(content), *specs)
