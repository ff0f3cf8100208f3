"""tract, Sonos' engine in Rust: no line of code in common with the others, so it judges parity.

It computes on one thread. It is fastest, and some graphs only load, where every size is known, so
a file whose batch is open is made ready anew for each batch size that comes; the last few are kept.
Float operators compute in the types of the graph, quantized ones in integers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from edgecnn.errors import RuntimeCrashed
from edgecnn.runtime import (
    OTHER_ENGINE,
    Availability,
    Options,
    TensorSpec,
    Variant,
    choose_options,
    package_availability,
)

from .loading import Refused, Shapes, Source, refusal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

NAME = "tract"
FORMATS = frozenset({"onnx"})
PROVIDERS = ("cpu",)
MOST_THREADS = 1

# A made-ready graph holds its own copy of the weights.
_KEPT_SIZES = 4


class TractSession:
    """A graph in tract, made ready for the sizes that came last."""

    provider = "cpu"

    def __init__(self, source: Source) -> None:
        self._source = source
        self._ready: OrderedDict[Shapes, Any] = OrderedDict()
        self.inputs = source.inputs
        self.outputs = source.outputs

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs, by name."""
        values = self.prepare(inputs)()
        outputs = {spec.name: value for spec, value in zip(self.outputs, values, strict=True)}
        for spec in self.outputs:
            if outputs[spec.name].dtype != spec.dtype:
                raise RuntimeCrashed(f"tract gave {outputs[spec.name].dtype} for {spec}.")
        return outputs

    def prepare(self, inputs: Arrays) -> Callable[[], list[NDArray[np.generic]]]:
        """Give `Runnable.run` on these inputs, its answers as arrays."""
        arrays = [inputs[spec.name] for spec in self.inputs]
        try:
            runnable = self.make_ready(tuple(array.shape for array in arrays))
        except Refused as error:
            raise RuntimeCrashed(f"tract failed in a run: {error}", OTHER_ENGINE) from error
        return partial(_run, runnable, arrays)

    def make_ready(self, shapes: Shapes) -> Any:
        """Give the graph for these shapes of its inputs, in their order.

        Raises:
            Refused: tract has no such operator, or cannot compute these sizes.
        """
        if shapes not in self._ready:
            self._ready[shapes] = self._source.runnable(shapes)
            if len(self._ready) > _KEPT_SIZES:
                self._ready.popitem(last=False)
        self._ready.move_to_end(shapes)
        return self._ready[shapes]

    def close(self) -> None:
        """Free all that was made ready."""
        self._ready.clear()


def availability(provider: str) -> Availability:
    """Say whether tract is there, and onnx, which reads what tract does not tell of a file."""
    packages = {"tract": "tract", "onnx": "onnx"}
    return package_availability(NAME, provider, PROVIDERS, packages, "edgecnn[tract]")


def open_session(
    variant: Variant, *, provider: str, threads: int, options: Options
) -> TractSession:
    """Open an ONNX file, made ready for a batch of 1 where its batch is open.

    Raises:
        InputError: An option is given: it has none.
        ModelError: The file is no ONNX graph, or has an operator that tract lacks.
    """
    choose_options(NAME, {}, options)
    source = Source(variant)
    session = TractSession(source)
    try:
        session.make_ready(tuple(map(_with_ones, source.inputs)))
    except Refused as error:
        # Where sizes are open, 1 may be none of those that the graph can have.
        if source.is_fixed or not error.about_sizes:
            raise refusal(variant, str(error)) from error
    return session


def _with_ones(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(1 if isinstance(size, str) else size for size in spec.shape)


def _run(runnable: Any, arrays: list[NDArray[Any]]) -> list[NDArray[np.generic]]:
    import tract

    try:
        return [value.to_numpy() for value in runnable.run(arrays)]
    except tract.TractError as error:
        raise RuntimeCrashed(f"tract failed in a run: {Refused(error)}", OTHER_ENGINE) from error
