"""A compiled net, called through ctypes."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.runtime import TensorSpec

from .facts import Facts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

_ALIGNMENT = 64


class CSession:
    """A net in a shared library."""

    provider = "cpu"

    def __init__(self, library: Path, facts: Facts, weights: Path | None) -> None:
        function = getattr(ctypes.CDLL(str(library)), f"{facts.prefix}_run")
        function.restype = None
        self._weights = None if weights is None else _aligned(weights)
        self._function = function
        self.inputs = (facts.input,)
        self.outputs = facts.outputs

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs, by name."""
        import numpy as np

        whole = np.empty(sum(_size(spec) for spec in self.outputs), np.float32)
        self._call(inputs, whole)()
        outputs: dict[str, NDArray[np.generic]] = {}
        place = 0
        for spec in self.outputs:
            values = whole[place : place + _size(spec)]
            outputs[spec.name] = values.reshape([int(axis) for axis in spec.shape])
            place += _size(spec)
        return outputs

    def prepare(self, inputs: Arrays) -> Callable[[], object]:
        """Give the call on these inputs."""
        import numpy as np

        return self._call(inputs, np.empty(sum(_size(spec) for spec in self.outputs), np.float32))

    def close(self) -> None:
        """Let go of the function; a library stays loaded while its process lives."""
        self._function = None

    def _call(self, inputs: Arrays, outputs: NDArray[np.float32]) -> Callable[[], object]:
        (spec,) = self.inputs
        arrays: list[Any] = [inputs[spec.name], outputs]
        if self._weights is not None:
            arrays.insert(0, self._weights)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
        return _Call(partial(self._function, *pointers), arrays)


class _Call:
    """A call that keeps the memory alive that it works on."""

    __slots__ = ("_arrays", "_function")

    def __init__(self, function: Callable[[], object], arrays: list[Any]) -> None:
        self._function = function
        self._arrays = arrays

    def __call__(self) -> object:
        return self._function()


def _size(spec: TensorSpec) -> int:
    return math.prod(int(axis) for axis in spec.shape)


def _aligned(path: Path) -> NDArray[np.uint8]:
    import numpy as np

    content = np.fromfile(path, np.uint8)
    room = np.empty(len(content) + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    whole = room[start : start + len(content)]
    whole[:] = content
    return whole
