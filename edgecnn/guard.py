"""The first load of a foreign ONNX file: in a process of its own, within limits.

The gate refuses what can be seen in a file. What only shows when an engine builds and runs it
(a crash, a hang, memory without end) happens here, to a process that may die of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.errors import ModelError, RuntimeCrashed
from edgecnn.graph.gate import check_file
from edgecnn.graph.limits import (
    FIRST_LOAD_BYTES,
    FIRST_LOAD_SECONDS,
    WEIGHT_COPIES,
    size_text,
)
from edgecnn.graph.tensors import check_tensors
from edgecnn.runtime import plain_file
from edgecnn.spec import TensorSpec
from edgecnn.worker import Opened, Worker

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto


def let_in(path: Path | str, *, runtime: str = "ort") -> ModelProto:
    """Pass a foreign ONNX file through the gate, then load it for the first time, guarded.

    Args:
        path: The file.
        runtime: The engine to load it with.

    Returns:
        The model; weights outside the file are not loaded.

    Raises:
        InputError: There is no such file.
        ModelError: The gate or the engine refuses it.
        RuntimeCrashed: The engine crashed, hung or asked for too much memory.
    """
    model = check_file(path)
    first_load(path, model, runtime=runtime)
    return model


def first_load(
    path: Path | str,
    model: ModelProto,
    *,
    runtime: str = "ort",
    seconds: float = FIRST_LOAD_SECONDS,
    memory: int | None = None,
) -> Opened:
    """Load a file in a process of its own, and run it once on zeros where its shapes are known.

    Args:
        path: The file.
        model: What the gate gave for it.
        runtime: The engine to load it with.
        seconds: How long loading may take, and the run.
        memory: Bytes that it may take beyond the engine itself; what `memory_for` says by default.

    Raises:
        ModelError: The engine refuses it.
        RuntimeCrashed: The engine crashed, hung or asked for too much memory.
    """
    memory = memory_for(model, Path(path).parent) if memory is None else memory
    try:
        with Worker(seconds, memory) as worker:
            opened = worker.open(plain_file(str(path)), runtime=runtime, threads=1)
            inputs = _zeros(opened.inputs)
            if inputs is not None:
                worker.outputs(inputs)
            return opened
    except (ModelError, RuntimeCrashed) as error:
        raise type(error)(
            f"{path} failed in its first load, within {seconds:g} s and {size_text(memory)}: "
            f"{error.problem}",
            error.remedy,
        ) from error


def memory_for(model: ModelProto, folder: Path) -> int:
    """Give the bytes of memory that a session on a model may take beyond the engine itself."""
    return FIRST_LOAD_BYTES + WEIGHT_COPIES * check_tensors(model, folder)


def _zeros(specs: Iterable[TensorSpec]) -> dict[str, NDArray[np.generic]] | None:
    import numpy as np

    found = {}
    for spec in specs:
        first, rest = spec.shape[:1], spec.shape[1:]
        sizes = [1 if isinstance(axis, str) else axis for axis in first]
        sizes += [axis for axis in rest if isinstance(axis, int)]
        if len(sizes) < len(spec.shape) or 0 in sizes:
            return None
        found[spec.name] = np.zeros(sizes, spec.dtype)
    return found
