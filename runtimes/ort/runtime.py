"""ONNX Runtime, on exactly the provider that was asked for.

Options:
    optimization: `all` (default), `extended`, `basic` or `disable`. Below `all` small nets run 1.4
        to 2.5 times slower, because the blocked layout of convolutions is missing.
    spinning: `on` (default) or `off`: whether idle threads wait by spinning.
    tf32: `off` (default) or `on`: whether CUDA may round float32 to 10 bits of mantissa.
    profiling: `off` (default) or `on`: whether the session times each of its operators.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError, ModelError, RuntimeCrashed, UnavailableError
from edgecnn.runtime import (
    OperatorRun,
    Options,
    Variant,
    choose_options,
    gpu,
    normalise_provider,
)

from .dtypes import spec
from .needs import GPU_PROVIDERS
from .prefixes import MakeSession
from .profiling import Recording
from .wheels import SILENT, availability, engine, provider_libraries, providers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

__all__ = [
    "FORMATS",
    "NAME",
    "OPTIONS",
    "PROFILE_OPTIONS",
    "PROVIDERS",
    "TUNED",
    "availability",
    "open_session",
]

NAME = "ort"
FORMATS = frozenset({"onnx"})
PROVIDERS = ("cpu", "cuda")
PROFILE_OPTIONS = {"profiling": "on"}

_LEVELS = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "disable": "ORT_DISABLE_ALL",
}
OPTIONS = {
    "optimization": tuple(_LEVELS),
    "spinning": ("on", "off"),
    "tf32": ("off", "on"),
    "profiling": ("off", "on"),
}
TUNED = ("optimization", "spinning")


class OrtSession:
    """A session of ONNX Runtime."""

    def __init__(
        self,
        session: Any,
        recording: Recording | None = None,
        make_session: MakeSession | None = None,
    ) -> None:
        self._session = session
        self._recording = recording
        self._make_session = make_session
        self._feed: dict[str, NDArray[np.generic]] = {}
        self.provider = normalise_provider(session.get_providers()[0])
        self.inputs = tuple(map(spec, session.get_inputs()))
        self.outputs = tuple(map(spec, session.get_outputs()))
        self._names = [output.name for output in self.outputs]

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs, by name."""
        if self._recording:
            self._feed = dict(inputs)
        try:
            values = self._session.run(self._names, dict(inputs))
        except Exception as error:
            raise RuntimeCrashed(f"ONNX Runtime failed in a run: {_sentence(error)}") from error
        return dict(zip(self._names, values, strict=True))

    def prepare(self, inputs: Arrays) -> Callable[[], object]:
        """Give `InferenceSession.run` on these inputs."""
        import numpy as np

        # Otherwise the engine would copy what is not laid out in rows, in each call.
        feed = {name: np.require(value, requirements="C") for name, value in inputs.items()}
        self._feed = feed
        return partial(self._session.run, self._names, feed)

    def profile(self) -> tuple[OperatorRun, ...]:
        """Give the operators and their times, in whole microseconds, of all runs so far; once."""
        if self._recording is None or self._make_session is None:
            raise InputError(
                "This session keeps no profile.", "Open it with the option `profiling` set to `on`."
            )
        return self._recording.read(self._session, self._feed, self._make_session)

    def close(self) -> None:
        """Free the engine's session."""
        self._session = None
        if self._recording:
            self._recording.close()


def open_session(variant: Variant, *, provider: str, threads: int, options: Options) -> OrtSession:
    """Open an ONNX file on one provider; what that provider cannot do is an error.

    Raises:
        InputError: An option is unknown.
        UnavailableError: The provider did not start, or cannot run a part of the model.
        ModelError: ONNX Runtime refuses the file.
    """
    chosen = choose_options(NAME, OPTIONS, options)
    module = engine()
    assert module is not None, "open_session() is called where availability() is ok"
    name = providers(module)[provider]
    if provider in GPU_PROVIDERS:
        _load(provider_libraries(module, provider))
    settings = _settings(module, chosen, provider, threads)
    profiling = chosen["profiling"] == "on"
    recording = _recording(settings, variant, provider) if profiling else None
    try:
        session = module.InferenceSession(
            recording.source if recording else variant.files[0],
            settings,
            [(name, _provider_options(provider, chosen))],
            enable_fallback=0,
        )
    except Exception as error:
        if recording:
            recording.close()
        raise _refusal(error, variant, provider) from error
    return OrtSession(session, recording, partial(_open_as_it_is, module, chosen, threads))


def _open_as_it_is(module: ModuleType, chosen: dict[str, str], threads: int, model: bytes) -> Any:
    settings = _settings(module, {**chosen, "optimization": "disable"}, "cpu", threads)
    return module.InferenceSession(model, settings, ["CPUExecutionProvider"])


def _recording(settings: Any, variant: Variant, provider: str) -> Recording:
    if provider != "cpu":
        raise UnavailableError(
            f"On '{provider}' ONNX Runtime's profile times how long operators take to be started, "
            "not to compute.",
            "Profile with `--provider cpu`.",
        )
    return Recording(settings, variant.files[0])


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


def _provider_options(provider: str, chosen: dict[str, str]) -> dict[str, str]:
    return {"use_tf32": str(int(chosen["tf32"] == "on"))} if provider == "cuda" else {}


def _settings(module: ModuleType, chosen: dict[str, str], provider: str, threads: int) -> Any:
    settings = module.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = module.ExecutionMode.ORT_SEQUENTIAL
    settings.graph_optimization_level = getattr(
        module.GraphOptimizationLevel, _LEVELS[chosen["optimization"]]
    )
    settings.log_severity_level = SILENT
    spin = str(int(chosen["spinning"] == "on"))
    settings.add_session_config_entry("session.intra_op.allow_spinning", spin)
    if provider != "cpu":
        # Without this, or with the CPU in the list, what fails on the provider runs on the CPU.
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return settings


def _refusal(error: Exception, variant: Variant, provider: str) -> Exception:
    damaged = type(error).__name__ in ("InvalidProtobuf", "InvalidGraph", "NoSuchFile")
    if provider == "cpu" or damaged:
        return ModelError(
            f"ONNX Runtime refuses {variant.path}: {_sentence(error)}",
            "Export the model anew, or check that the file is whole.",
        )
    if "fallback to CPU" in str(error):
        problem = f"'{provider}' did not start, or has no kernel for a part of {variant.path.name}."
    else:
        problem = f"'{provider}' cannot run {variant.path.name}: {_sentence(error)}"
    return UnavailableError(problem, "Use `--provider cpu`, or see `edgecnn doctor`.")


def _sentence(error: Exception) -> str:
    text = str(error).partition("\n")[0].rpartition(" : ")[2].rpartition("failed:")[2].strip()
    return text if text.endswith(".") else f"{text}."
