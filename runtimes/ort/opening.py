"""How a session of ONNX Runtime is opened, strictly, and opened again to be looked at."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from edgecnn.errors import UnavailableError
from edgecnn.runtime import Variant, gpu

from .needs import GPU_PROVIDERS
from .options import LEVELS
from .placing import left_to_the_cpu
from .profiling import Recording
from .providers import provider_options, providers
from .refusing import refuse_int8, refuse_leftovers, refused
from .wheels import SILENT, provider_libraries

Change = Callable[[Any], None]
_TF32 = "NVIDIA_TF32_OVERRIDE"


@dataclass(frozen=True)
class Opening:
    """How a session is opened.

    Attributes:
        module: The package `onnxruntime`.
        variant: The located variant.
        provider: Where it computes, by its short name.
        threads: Threads within an operator.
        chosen: The options, completed.
    """

    module: ModuleType
    variant: Variant
    provider: str
    threads: int
    chosen: dict[str, str]

    @property
    def precision(self) -> str:
        """What float32 operators are computed in."""
        return self.chosen["precision"] if self.provider in GPU_PROVIDERS else "fp32"

    def open(self, recording: Recording | None = None) -> Any:
        """Open the session; what a session may not do is refused.

        Raises:
            UnavailableError: The provider did not start, or cannot run a part of the model.
            ModelError: ONNX Runtime refuses the file.
        """
        if self.provider in GPU_PROVIDERS:
            refuse_int8(self.variant, self.provider, forced=self.chosen["int8"] == "force")
            _set_tf32(self.provider, self.precision)
            _load(provider_libraries(self.module, self.provider))
        source = recording.source if recording else self.variant.files[0]
        try:
            return self._open(source, recording.write_to if recording else _as_it_is)
        except Exception as error:
            if recording:
                recording.close()
            if "fallback to CPU" in str(error):
                refuse_leftovers(self.variant, self.provider, self._leftovers)
            raise refused(error, self.variant, self.provider) from error

    def open_again(self, change: Change) -> Any:
        """Open another session of the same kind, with other settings; it replays no graph."""
        other = replace(self, chosen={**self.chosen, "cuda_graph": "off"})
        return other._open(self.variant.files[0], change)

    def open_as_it_is(self, model: bytes) -> Any:
        """Open a graph on the CPU as it is, without a profile."""
        chosen = {**self.chosen, "optimization": "disable", "batch": "as-fed"}
        return replace(self, provider="cpu", chosen=chosen)._open(model, _as_it_is)

    def _open(self, source: str | bytes, change: Change) -> Any:
        settings = self._settings(source)
        change(settings)
        name = providers(self.module)[self.provider]
        own = provider_options(self.provider, self.chosen, self.threads)
        listed: list[Any] = [(name, own)]
        if self.chosen["fallback"] == "on" and self.provider != "cpu":
            listed.append("CPUExecutionProvider")
        return self.module.InferenceSession(source, settings, listed, enable_fallback=0)

    def _leftovers(self) -> Any:
        lenient = replace(self, chosen={**self.chosen, "fallback": "on"})
        return left_to_the_cpu(self.provider, lenient.open_again)

    def _settings(self, source: str | bytes) -> Any:
        settings, chosen = self.module.SessionOptions(), self.chosen
        settings.intra_op_num_threads = self.threads
        settings.inter_op_num_threads = 1
        settings.execution_mode = self.module.ExecutionMode.ORT_SEQUENTIAL
        level = LEVELS[chosen["optimization"]]
        settings.graph_optimization_level = getattr(self.module.GraphOptimizationLevel, level)
        settings.log_severity_level = SILENT
        settings.enable_cpu_mem_arena = chosen["arena"] == "on"
        spin = str(int(chosen["spinning"] == "on"))
        settings.add_session_config_entry("session.intra_op.allow_spinning", spin)
        if chosen["batch"] == "1":
            for name in self._open_batches(source):
                settings.add_free_dimension_override_by_name(name, 1)
        if self.provider != "cpu" and chosen["fallback"] == "off":
            # Without this, or with the CPU in the list, what fails there runs on the CPU.
            settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return settings

    def _open_batches(self, source: str | bytes) -> set[str]:
        """Name the open first axes of the inputs; the engine itself reads the file."""
        lenient = {**self.chosen, "batch": "as-fed", "optimization": "disable"}
        session = replace(self, provider="cpu", chosen=lenient)._open(source, _as_it_is)
        axes = [value.shape[0] for value in session.get_inputs() if value.shape]
        return {axis for axis in axes if isinstance(axis, str)}


def _set_tf32(provider: str, precision: str) -> None:
    # NVIDIA's libraries read it as they start; 0 goes above what a program asks of them.
    if precision == "tf32" and os.environ.get(_TF32) == "0":
        raise UnavailableError(
            f"{_TF32}=0 in the environment keeps NVIDIA's libraries from computing in tf32.",
            f"Unset {_TF32}, or leave the precision out.",
        )
    if precision == "fp32" and provider == "tensorrt":
        os.environ[_TF32] = "0"  # ONNX Runtime has no option for it there


def _as_it_is(settings: Any) -> None:
    pass


def _load(names: list[str]) -> None:
    # NVIDIA's Python packages put them where the linker does not look.
    for name in names:
        library = gpu.find_library(name)
        try:
            ctypes.CDLL(library.path if library else name)
        except OSError as error:
            raise UnavailableError(
                f"{name} cannot be loaded: {error}.", "Run `edgecnn doctor` to see what is missing."
            ) from error
