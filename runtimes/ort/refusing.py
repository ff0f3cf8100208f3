"""What is said where a session cannot be opened as it was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from edgecnn.errors import (
    EdgeCNNError,
    ModelError,
    Requirement,
    RuntimeCrashed,
    UnavailableError,
)
from edgecnn.placement import PlacedOperator
from edgecnn.runtime import Variant

_ALLOW = "Allow it with --fallback or --min-coverage, or use `--provider cpu`."


def refuse_int8(variant: Variant, provider: str, *, forced: bool) -> None:
    """Refuse a QDQ file on CUDA, whose provider computes it in float32 with more copies.

    Raises:
        UnavailableError: It is one, and was not forced.
    """
    if provider != "cuda" or forced or not _is_quantized(variant):
        return
    raise UnavailableError(
        f"{variant.path.name} is quantized to int8, and 'cuda' has no int8 kernels for its "
        "operators: it rounds every tensor and computes in float32, slower than without.",
        "Use an fp16 variant, `--provider tensorrt`, which computes in int8, or force it with "
        "`--option int8=force`.",
    )


def refuse_leftovers(
    variant: Variant, provider: str, find: Callable[[], Sequence[PlacedOperator]]
) -> None:
    """Refuse what a provider leaves to the CPU, with a table of it where the engine tells.

    Raises:
        UnavailableError: Always, unless the engine does not tell.
    """
    try:
        found = find()
    except EdgeCNNError:
        raise
    except Exception:  # an older engine does not tell
        return
    counts = Counter((each.operator, each.provider) for each in found)
    if counts:
        raise UnavailableError(
            f"'{provider}' has no kernel for a part of {variant.path.name}: "
            f"{len(found)} {'operator' if len(found) == 1 else 'operators'}.",
            _ALLOW,
            tuple(
                Requirement(f"{count} {operator}", provider, f"{where} alone", ok=False)
                for (operator, where), count in counts.items()
            ),
        )


def refused(error: Exception, variant: Variant, provider: str) -> Exception:
    """Give what an error of the engine at opening a file means."""
    if _is_memory(error):
        return MemoryError(str(error))
    damaged = type(error).__name__ in ("InvalidProtobuf", "InvalidGraph", "NoSuchFile")
    if provider == "cpu" or damaged:
        return ModelError(
            f"ONNX Runtime refuses {variant.path}: {sentence(error)}",
            "Export the model anew, or check that the file is whole.",
        )
    if "fallback to CPU" in str(error):
        problem = f"'{provider}' did not start, or has no kernel for a part of {variant.path.name}."
    else:
        problem = f"'{provider}' cannot run {variant.path.name}: {sentence(error)}"
    return UnavailableError(problem, "Use `--provider cpu`, or see `edgecnn doctor`.")


def failed(error: Exception) -> Exception:
    """Give what an error of the engine in a run means."""
    if _is_memory(error):
        return MemoryError(str(error))
    return RuntimeCrashed(f"ONNX Runtime failed in a run: {sentence(error)}")


def _is_memory(error: Exception) -> bool:
    # The engine has no class for it: its arena, the C++ library and its threads say it so.
    words = ("Failed to allocate memory", "bad_alloc", "Cannot allocate memory")
    return isinstance(error, MemoryError) or any(each in str(error) for each in words)


def sentence(error: Exception) -> str:
    """Give what an error of the engine says, as one sentence."""
    text = str(error).partition("\n")[0]
    for lead in (" : ", "failed:", " was false. "):  # behind these it says what it is about
        text = text.rpartition(lead)[2]
    text = text.strip()
    return text if text.endswith(".") else f"{text}."


def _is_quantized(variant: Variant) -> bool:
    # A device may have no onnx; the operator's name stands in the file as it is.
    return variant.precision == "int8" or (
        variant.path.is_file() and b"DequantizeLinear" in variant.path.read_bytes()
    )
