"""The options of ONNX Runtime's sessions, and on which providers each changes anything.

optimization: How far the graph is rewritten before it runs. Below `all` small nets run 1.4 to 2.5
    times slower, because the blocked layout of convolutions is missing.
spinning: Whether idle threads wait by spinning.
arena: Whether memory is kept from run to run, or asked for anew.
io_binding: `on` writes outputs where they are wanted and, on a GPU, keeps inputs in one place of
    its memory; `pinned` also keeps them in page-locked memory of the computer, which a GPU reads
    without a copy in between. What is timed still goes from the computer's memory and back to it.
batch: `1` fixes an open batch to one, which the graph may then be rewritten for.
precision: `tf32` lets a GPU round float32 to 10 bits of mantissa.
cuda_graph: `on` records the kernels of a run once for each shape and has the GPU replay them; it
    always works on bound buffers, as `io_binding` does.
cudnn_conv_algo_search: How cuDNN finds the algorithm of a convolution.
int8: Whether QDQ files run on CUDA, where they are slower than in float32: its provider computes
    each operator between the DequantizeLinear and QuantizeLinear in float32.
fallback: `on` lets the CPU compute what the provider has no kernel for.
profiling: Whether the session times each of its operators.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.errors import InputError
from edgecnn.runtime import Options, choose_options

NAME = "ort"
LEVELS = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "disable": "ORT_DISABLE_ALL",
}
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "optimization": tuple(LEVELS),
    "spinning": ("on", "off"),
    "arena": ("on", "off"),
    "io_binding": ("off", "on", "pinned"),
    "batch": ("as-fed", "1"),
    "precision": ("fp32", "tf32"),
    "cuda_graph": ("off", "on"),
    "cudnn_conv_algo_search": ("exhaustive", "heuristic", "default"),
    "int8": ("refuse", "force"),
    "fallback": ("off", "on"),
    "profiling": ("off", "on"),
}
# Not `io_binding`: only who feeds the same arrays again and again gains by it, and no command that
# runs what was tuned does.
TUNED = (
    "optimization",
    "spinning",
    "arena",
    "batch",
    "cuda_graph",
    "cudnn_conv_algo_search",
)
# Where an option, or one choice of it, changes nothing it is refused, not ignored.
_ONLY_ON = {
    ("spinning", "off"): ("cpu",),
    ("arena", "off"): ("cpu",),
    ("io_binding", "on"): ("cpu", "cuda"),
    ("io_binding", "pinned"): ("cuda",),
    ("precision", "tf32"): ("cuda", "tensorrt"),
    ("cuda_graph", "on"): ("cuda",),
    ("cudnn_conv_algo_search", "heuristic"): ("cuda",),
    ("cudnn_conv_algo_search", "default"): ("cuda",),
    ("int8", "force"): ("cuda",),
}


def choices(provider: str) -> dict[str, tuple[str, ...]]:
    """Give the options that change anything on a provider, and what each may be there."""
    found = {
        name: tuple(value for value in values if _means_something(name, value, provider))
        for name, values in OPTIONS.items()
    }
    return {name: values for name, values in found.items() if len(values) > 1}


def choose(provider: str, given: Options) -> dict[str, str]:
    """Complete the options that were given.

    Raises:
        InputError: There is no such option, or it changes nothing on this provider.
    """
    chosen = choose_options(NAME, OPTIONS, given)
    for name, value in given.items():
        # What is computed in is checked in one place for all runtimes, with a better remedy.
        if name != "precision" and not _means_something(name, value, provider):
            raise InputError(
                f"The option '{name}={value}' of '{NAME}' changes nothing on '{provider}'.",
                f"Leave it out; it is for {' and '.join(_ONLY_ON[name, value])}.",
            )
    return chosen


def _means_something(name: str, value: str, provider: str) -> bool:
    return provider in _ONLY_ON.get((name, value), (provider,))
