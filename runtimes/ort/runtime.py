"""ONNX Runtime, on exactly the provider that was asked for.

Options:
    optimization: `all` (default), `extended`, `basic` or `disable`. Below `all` small nets run 1.4
        to 2.5 times slower, because the blocked layout of convolutions is missing.
    spinning: `on` (default) or `off`: whether idle threads wait by spinning.
    tf32: `off` (default) or `on`: whether CUDA may round float32 to 10 bits of mantissa.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError, ModelError, RuntimeCrashed, UnavailableError
from edgecnn.runtime import Availability, Options, TensorSpec, Variant, normalise_provider

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

NAME = "ort"
FORMATS = frozenset({"onnx"})
PROVIDERS = ("cpu", "cuda")

# Each of these installs the package `onnxruntime`, over whatever another one put there.
_WHEELS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-migraphx",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "onnxruntime-training",
)
_CHOICES = {
    "optimization": ("all", "extended", "basic", "disable"),
    "spinning": ("on", "off"),
    "tf32": ("off", "on"),
}
_DTYPES = {
    "float": "float32",
    "double": "float64",
    **{name: name for name in ("float16", "bool", "int8", "int16", "int32", "int64")},
    **{name: name for name in ("uint8", "uint16", "uint32", "uint64")},
}
_SILENT = 4


class OrtSession:
    """A session of ONNX Runtime."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.provider = normalise_provider(engine.get_providers()[0])
        self.inputs = tuple(map(_spec, engine.get_inputs()))
        self.outputs = tuple(map(_spec, engine.get_outputs()))
        self._names = [spec.name for spec in self.outputs]

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs, by name."""
        try:
            values = self._engine.run(self._names, _feed(inputs))
        except Exception as error:
            raise RuntimeCrashed(f"ONNX Runtime failed in a run: {_sentence(error)}") from error
        return dict(zip(self._names, values, strict=True))

    def prepare(self, inputs: Arrays) -> Callable[[], object]:
        """Give `InferenceSession.run` on these inputs."""
        return partial(self._engine.run, self._names, _feed(inputs))

    def close(self) -> None:
        """Free the engine's session."""
        self._engine = None


def availability(provider: str) -> Availability:
    """Say whether the installed wheel has this provider, and what it needs."""
    wheels = _installed_wheels()
    if len(wheels) > 1:
        return _too_many(wheels)
    engine = _engine() if wheels else None
    if engine is None:
        return _absent(wheels)
    if provider not in _providers(engine):
        return _not_in_wheel(provider, wheels, engine)
    return Availability(ok=True, versions=wheels)


def open_session(variant: Variant, *, provider: str, threads: int, options: Options) -> OrtSession:
    """Open an ONNX file on one provider; what that provider cannot do is an error.

    Raises:
        InputError: An option is unknown.
        UnavailableError: The provider did not start, or cannot run a part of the model.
        ModelError: ONNX Runtime refuses the file.
    """
    chosen = _chosen(options)
    engine = _engine()
    assert engine is not None, "open_session() is called where availability() is ok"
    name = _providers(engine)[provider]
    settings = _settings(engine, chosen, threads)
    provider_options: dict[str, str] = {}
    if provider != "cpu":
        # With the CPU in the list, or without this entry, what fails on the provider runs there.
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if provider == "cuda":
        provider_options["use_tf32"] = "1" if chosen["tf32"] == "on" else "0"
    try:
        session = engine.InferenceSession(
            variant.files[0], settings, [(name, provider_options)], enable_fallback=0
        )
    except Exception as error:
        raise _refusal(error, variant, provider) from error
    if session.get_providers()[0] != name:
        raise UnavailableError(
            f"ONNX Runtime could not start '{provider}' and took "
            f"'{normalise_provider(session.get_providers()[0])}' instead.",
            "Run `edgecnn doctor` to see what is missing.",
        )
    return OrtSession(session)


def _engine() -> ModuleType | None:
    first = "onnxruntime" not in sys.modules
    if first:
        # From 1.29 on an import starts a telemetry thread unless this is set before it.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError:
        return None
    if not hasattr(onnxruntime, "InferenceSession"):
        return None
    if first:
        # What it prints on stderr it also raises, and an error is one sentence here.
        onnxruntime.set_default_logger_severity(_SILENT)
    return onnxruntime  # type: ignore[no-any-return]


def _installed_wheels() -> dict[str, str]:
    found = {}
    for wheel in _WHEELS:
        try:
            found[wheel] = version(wheel)
        except PackageNotFoundError:
            continue
    return found


def _providers(engine: ModuleType) -> dict[str, str]:
    return {normalise_provider(name): name for name in engine.get_available_providers()}


def _too_many(wheels: dict[str, str]) -> Availability:
    return Availability(
        ok=False,
        reason=f"{_listed(wheels)} are installed together, and each overwrote files of the other.",
        remedy=f"Repair it with `pip uninstall -y {' '.join(wheels)} && "
        "pip install 'edgecnn[cpu]'` (or 'edgecnn[cuda]' where there is an NVIDIA GPU).",
        versions=wheels,
    )


def _absent(wheels: dict[str, str]) -> Availability:
    if wheels:
        return Availability(
            ok=False,
            reason=f"{_listed(wheels)} is installed, but cannot be imported.",
            remedy=f"Repair it with `pip install --force-reinstall --no-deps {' '.join(wheels)}`.",
            versions=wheels,
        )
    return Availability(
        ok=False,
        reason="ONNX Runtime is not installed.",
        remedy="Install it with `pip install 'edgecnn[cpu]'`.",
    )


def _not_in_wheel(provider: str, wheels: dict[str, str], engine: ModuleType) -> Availability:
    have = ", ".join(sorted(_providers(engine)))
    return Availability(
        ok=False,
        reason=f"{_listed(wheels)} has no provider '{provider}'; it has {have}.",
        remedy="Use `--provider cpu`, or install a wheel that has it.",
        versions=wheels,
    )


def _listed(wheels: dict[str, str]) -> str:
    return " and ".join(f"{name} {number}" for name, number in wheels.items())


def _chosen(options: Options) -> dict[str, str]:
    for key, value in options.items():
        if key not in _CHOICES:
            raise InputError(
                f"The runtime 'ort' has no option '{key}'.", f"It has {', '.join(_CHOICES)}."
            )
        if value not in _CHOICES[key]:
            raise InputError(
                f"The option '{key}' of 'ort' cannot be '{value}'.",
                f"Use {' or '.join(_CHOICES[key])}.",
            )
    return {key: options.get(key, choices[0]) for key, choices in _CHOICES.items()}


def _settings(engine: ModuleType, chosen: dict[str, str], threads: int) -> Any:
    settings = engine.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = engine.ExecutionMode.ORT_SEQUENTIAL
    level = f"ORT_{'DISABLE' if chosen['optimization'] == 'disable' else 'ENABLE'}_"
    level += "ALL" if chosen["optimization"] == "disable" else chosen["optimization"].upper()
    settings.graph_optimization_level = getattr(engine.GraphOptimizationLevel, level)
    settings.log_severity_level = _SILENT
    spin = "1" if chosen["spinning"] == "on" else "0"
    settings.add_session_config_entry("session.intra_op.allow_spinning", spin)
    return settings


def _refusal(error: Exception, variant: Variant, provider: str) -> Exception:
    kind = type(error).__name__
    if provider != "cpu" and kind not in ("InvalidProtobuf", "InvalidGraph", "NoSuchFile"):
        return UnavailableError(
            f"ONNX Runtime cannot run {variant.path.name} on '{provider}' alone: "
            f"{_sentence(error)}",
            "Run `edgecnn doctor` to see what is missing, or use `--provider cpu`.",
        )
    return ModelError(
        f"ONNX Runtime refuses {variant.path}: {_sentence(error)}",
        "Export the model anew, or check that the file is whole.",
    )


def _sentence(error: Exception) -> str:
    text = str(error).partition("\n")[0].rpartition(" : ")[2].strip()
    return text if text.endswith(".") else f"{text}."


def _spec(value: Any) -> TensorSpec:
    element = value.type.removeprefix("tensor(").removesuffix(")")
    if element not in _DTYPES:
        raise ModelError(
            f"'{value.name}' is a {value.type}, which NumPy has no word for.",
            "Give the model inputs and outputs of plain numbers.",
        )
    shape = tuple("?" if size is None else size for size in value.shape)
    return TensorSpec(value.name, _DTYPES[element], shape)


def _feed(inputs: Arrays) -> dict[str, NDArray[np.generic]]:
    import numpy as np

    return {name: np.require(value, requirements=["C", "A"]) for name, value in inputs.items()}
