"""Calls on buffers that are bound once: on the CPU, and on a GPU of NVIDIA's.

Sources: "I/O Binding" and "Using CUDA Graphs" in ONNX Runtime's documentation. What is bound from
the computer's memory is copied to the GPU when it is bound, not when the session runs; so each call
here copies its inputs itself, and what is timed is a whole answer.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgecnn.errors import UnavailableError
from edgecnn.runtime import gpu

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

_GRAPH, _NO_GRAPH = "gpu_graph_id", "-1"


def on_cpu(module: ModuleType, session: Any, inputs: Arrays) -> Callable[[], object]:
    """Bind inputs and outputs in the computer's memory.

    Args:
        module: The package `onnxruntime`.
        session: Its session, on the CPU.
        inputs: Arrays laid out in rows, by name; they are read where they lie.
    """
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_ortvalue_input(name, module.OrtValue.ortvalue_from_numpy(value))
    outputs = _outputs(module, session, inputs, "cpu")
    for name, value in outputs.items():
        binding.bind_ortvalue_output(name, value)

    def call() -> None:
        # The binding holds no reference to what it reads and writes.
        session.run_with_iobinding(binding)

    call.held = (inputs, outputs)  # type: ignore[attr-defined]
    return call


class OnCuda:
    """Buffers in a GPU's memory for inputs of one shape.

    Args:
        module: The package `onnxruntime`.
        session: Its session, on CUDA.
        inputs: Arrays laid out in rows, by name; others of these shapes and types may follow.
        graph: The number of the CUDA graph that is recorded and replayed; None for none.
        lock: Held during a run: a session that replays graphs runs in one thread at a time.
        pinned: Whether the inputs are kept in page-locked memory of the computer.
    """

    def __init__(
        self,
        module: ModuleType,
        session: Any,
        inputs: Arrays,
        *,
        graph: int | None = None,
        lock: AbstractContextManager[Any],
        pinned: bool = False,
    ) -> None:
        self._session, self._lock = session, lock
        self._host = {n: _page_locked(x) if pinned else x.copy() for n, x in inputs.items()}
        self._inputs = {
            name: module.OrtValue.ortvalue_from_numpy(value, "cuda", 0)
            for name, value in self._host.items()
        }
        self._outputs = _outputs(module, session, self._host, "cuda")
        self._run_options = module.RunOptions()
        if graph is not None:
            self._run_options.add_run_config_entry(_GRAPH, str(graph))
        self._binding = session.io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in self._outputs.items():
            self._binding.bind_ortvalue_output(name, value)

    def __call__(self) -> list[NDArray[np.generic]]:
        """Compute the outputs, in the graph's order, for the inputs that were put in last."""
        for name, value in self._inputs.items():
            value.update_inplace(self._host[name])
        with self._lock:
            self._session.run_with_iobinding(self._binding, self._run_options)
        return [value.numpy() for value in self._outputs.values()]

    def put(self, inputs: Arrays) -> None:
        """Take other inputs of the same shapes and types."""
        for name, value in inputs.items():
            self._host[name][...] = value


def without_graph(module: ModuleType) -> Any:
    """Give the run options with which a session records and replays nothing."""
    options = module.RunOptions()
    options.add_run_config_entry(_GRAPH, _NO_GRAPH)
    return options


def _outputs(module: ModuleType, session: Any, inputs: Arrays, device: str) -> dict[str, Any]:
    """Make room for the outputs, whose shapes one run tells."""
    names = [value.name for value in session.get_outputs()]
    values = session.run(names, dict(inputs), without_graph(module))
    return {
        name: module.OrtValue.ortvalue_from_shape_and_type(list(x.shape), x.dtype, device, 0)
        for name, x in zip(names, values, strict=True)
    }


def _page_locked(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Copy an array into page-locked memory, which is freed together with the copy."""
    import numpy as np

    runtime = _cuda_runtime()
    pointer = ctypes.c_void_p()
    status = runtime.cudaHostAlloc(ctypes.byref(pointer), ctypes.c_size_t(array.nbytes), 0)
    if status:
        raise UnavailableError(
            f"CUDA has no page-locked memory of {array.nbytes:,} bytes (error {status}).",
            "Use the option io_binding=on.",
        )
    memory = _PageLocked(runtime, pointer, array.nbytes)
    locked = np.asarray(memory).view(array.dtype).reshape(array.shape)
    locked[...] = array
    return locked


class _PageLocked:
    """Page-locked memory; NumPy's arrays on it keep it alive."""

    def __init__(self, runtime: ctypes.CDLL, pointer: ctypes.c_void_p, size: int) -> None:
        self._runtime, self._pointer = runtime, pointer
        self.__array_interface__ = {
            "shape": (size,),
            "typestr": "|u1",
            "data": (pointer.value, False),
            "version": 3,
        }

    def __del__(self) -> None:
        self._runtime.cudaFreeHost(self._pointer)


def _cuda_runtime() -> ctypes.CDLL:
    """Give the CUDA runtime that the provider has loaded."""
    found = gpu.loaded_libraries(r"/libcudart\.so")
    if not found:
        raise UnavailableError(
            "The provider 'cuda' has loaded no CUDA runtime (libcudart).",
            "Use the option io_binding=on.",
        )
    return ctypes.CDLL(found[0].path)
