"""Which runtime writes a format."""

from __future__ import annotations

from edgecnn import shelves
from edgecnn.errors import EdgeCNNError, InputError
from edgecnn.runtime import Runtime, load_runtime

ONNX = "onnx"


def find_converter(wanted: str, runtime: str | None = None) -> str:
    """Find the runtime that writes a format; whether its engine is here shows when it is called.

    Args:
        wanted: The format, such as `ncnn`.
        runtime: Name or path of a runtime; by default the first on the shelf that writes it.

    Returns:
        The runtime's name, or its path.

    Raises:
        InputError: There is no such runtime, or none writes this format.
    """
    if runtime is not None:
        adapter = load_runtime(runtime)
        if wanted not in written_by(adapter):
            raise InputError(
                f"The runtime '{adapter.NAME}' writes no '{wanted}'.",
                f"It writes {', '.join(sorted(written_by(adapter))) or 'no format of its own'}.",
            )
        return runtime
    known = writers()
    if wanted not in known:
        raise InputError(
            f"No runtime here writes the format '{wanted}'.",
            f"Use --format {' or '.join(sorted({ONNX, *known}))}; or name a runtime that writes it "
            "with --runtime PATH.",
        )
    return known[wanted]


def writers() -> dict[str, str]:
    """Give each format that a runtime writes, on the shelf or by entry point, and that runtime.

    A runtime that does not load writes nothing; `edgecnn doctor` says why.
    """
    found: dict[str, str] = {}
    for name in shelves.runtime_names():
        try:
            adapter = load_runtime(name)
        except EdgeCNNError:
            continue
        for each in written_by(adapter):
            found.setdefault(each, name)
    return found


def written_by(adapter: Runtime) -> frozenset[str]:
    """Give the formats that a runtime writes."""
    return adapter.FORMATS - {ONNX} if hasattr(adapter, "convert") else frozenset()
