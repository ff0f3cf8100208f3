"""Which runtime writes a format."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn import shelves
from edgecnn.errors import EdgeCNNError, InputError
from edgecnn.runtime import Runtime, Target, check_available, load_runtime

ONNX = "onnx"


@dataclass(frozen=True)
class Converter:
    """A runtime that writes a format.

    Attributes:
        name: As it is asked for: its name, or its path.
        target: The runtime and its first provider, both of them here.
    """

    name: str
    target: Target


def find_converter(wanted: str, runtime: str | None = None) -> Converter:
    """Find the runtime that writes a format, and make sure that its engine is here.

    Args:
        wanted: The format, such as `ncnn`.
        runtime: Name or path of a runtime; by default the first on the shelf that writes it.

    Raises:
        InputError: There is no such runtime, or none writes this format.
        UnavailableError: Its engine is not installed.
    """
    if runtime is not None:
        adapter = load_runtime(runtime)
        if wanted not in formats_of(adapter):
            raise InputError(
                f"The runtime '{adapter.NAME}' writes no '{wanted}'.",
                f"It writes {', '.join(sorted(formats_of(adapter))) or 'no format of its own'}.",
            )
        return Converter(runtime, check_available(runtime))
    known = writers()
    if wanted not in known:
        raise InputError(
            f"No runtime here writes the format '{wanted}'.",
            f"Use --format {' or '.join(sorted({ONNX, *known}))}; or name a runtime that writes it "
            "with --runtime PATH.",
        )
    return Converter(known[wanted], check_available(known[wanted]))


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
        for each in formats_of(adapter):
            found.setdefault(each, name)
    return found


def formats_of(adapter: Runtime) -> frozenset[str]:
    """Give the formats that a runtime writes."""
    return adapter.FORMATS - {ONNX} if hasattr(adapter, "convert") else frozenset()
