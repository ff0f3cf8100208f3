"""A compiled net, called through ctypes."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError, UnavailableError
from edgecnn.runtime import TensorSpec

from .facts import Facts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

_ALIGNMENT = 64


class CSession:
    """A net in a shared library; each caller has memory of its own."""

    provider = "cpu"

    def __init__(self, source: Path, library: Path, facts: Facts, weights: Path | None) -> None:
        function = _function(source, library, f"{facts.prefix}_run_in")
        self._weights = None if weights is None else _aligned(weights)
        self._function: Any = function
        self._arena_bytes = facts.arena_bytes
        self._own = local()
        self.inputs = (facts.input,)
        self.outputs = facts.outputs

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs, by name."""
        if not hasattr(self._own, "arena"):
            self._own.arena = _room(self._arena_bytes)
        whole = self._whole()
        self._call(inputs, self._own.arena, whole)()
        outputs: dict[str, NDArray[np.generic]] = {}
        place = 0
        for spec in self.outputs:
            values = whole[place : place + _size(spec)]
            outputs[spec.name] = values.reshape([int(axis) for axis in spec.shape])
            place += _size(spec)
        return outputs

    def prepare(self, inputs: Arrays) -> Callable[[], object]:
        """Give the call of the C function on these inputs."""
        return self._call(inputs, _room(self._arena_bytes), self._whole())

    def close(self) -> None:
        """Let go of the function; a library stays loaded while its process lives."""
        self._function = None

    def _whole(self) -> NDArray[np.float32]:
        import numpy as np

        return np.empty(sum(map(_size, self.outputs)), np.float32)

    def _call(
        self, inputs: Arrays, arena: NDArray[np.uint8], outputs: NDArray[np.float32]
    ) -> Callable[[], object]:
        import numpy as np

        (spec,) = self.inputs
        arrays: list[NDArray[Any]] = [arena, np.ascontiguousarray(inputs[spec.name]), outputs]
        if self._weights is not None:
            arrays.insert(1, self._weights)
        return partial(self._function, *map(_place, arrays))


class _First(ctypes.c_char):
    """The first byte of an array, which it keeps alive."""

    array: NDArray[Any]


def _place(array: NDArray[Any]) -> Any:
    """Give where an array lies, as ctypes passes it soonest: a pointer takes half as long again."""
    first = _First.from_address(array.ctypes.data)
    first.array = array
    return ctypes.byref(first)


def _function(source: Path, library: Path, name: str) -> Any:
    try:
        function = getattr(ctypes.CDLL(str(library)), name)
    except OSError as error:
        raise UnavailableError(
            f"{source} was compiled, but the library cannot be loaded: {error}.",
            "Use a compiler for this machine, and a cache folder where programs may run: "
            "XDG_CACHE_HOME names it.",
        ) from error
    except AttributeError as error:
        raise ModelError(
            f"{source} has no function {name}.", "Make it anew with `edgecnn export --format c`."
        ) from error
    function.restype = None
    return function


def _size(spec: TensorSpec) -> int:
    return math.prod(int(axis) for axis in spec.shape)


def _aligned(path: Path) -> NDArray[np.uint8]:
    import numpy as np

    content = np.fromfile(path, np.uint8)
    whole = _room(len(content))
    whole[:] = content
    return whole


def _room(size: int) -> NDArray[np.uint8]:
    """Give memory that begins where vectors may."""
    import numpy as np

    room = np.empty(size + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + size]
