"""OpenVINO, which reads ONNX files itself: float32, and int8 with QuantizeLinear.

By itself it computes float32 in bfloat16 on every CPU that can, and does not say so; here it does
only if it is asked to. On a CPU it holds 64-bit integers in 32 bits and doubles in float32.

Options:
    precision: `fp32` (default), `bf16` or `fp16`: what float32 operators compute in.
    shape: `as-fed` (default): compiled for each shape that comes, which takes a moment the first
        time; or `dynamic`: once for all shapes. That is slower, and int8 so has crashed on CPUs
        with AMX (openvino#37577).
    cpu_pinning: `off` (default) or `on`: whether each thread keeps to a core of its own.

It has no profile: OpenVINO's counters are averages over all runs so far, in whole microseconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError, ModelError, RuntimeCrashed, UnavailableError
from edgecnn.runtime import Options, TensorSpec, Variant, choose_options

from .axes import Axes, axis_names
from .engine import DEVICES, availability, engine, read_onnx
from .programs import Programs, Unfit, sentence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

__all__ = [
    "FORMATS",
    "MOST_THREADS",
    "NAME",
    "OPTIONS",
    "PROVIDERS",
    "TUNED",
    "availability",
    "choices",
    "open_session",
]

NAME = "openvino"
FORMATS = frozenset({"onnx"})
PROVIDERS = tuple(DEVICES)
OPTIONS = {
    "precision": ("fp32", "bf16", "fp16"),
    "shape": ("as-fed", "dynamic"),
    "cpu_pinning": ("off", "on"),
}
TUNED = ("cpu_pinning",)
# It takes more without a word, and computes on these.
MOST_THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()

_TYPES = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_PRECISIONS = {name: precision for precision, name in _TYPES.items()}
_WIDE = ("int64", "uint64", "uint32")
_MOST_INTEGER = 2**31 - 1


class OpenvinoSession:
    """A graph in OpenVINO; `request.infer` is its inner call."""

    def __init__(self, module: ModuleType, programs: Programs, first: Any, specs: _Specs) -> None:
        self._module = module
        self._programs: Programs | None = programs
        # A program has one request of its own, which answers one caller at a time.
        self._turn = Lock()
        self.inputs, self.outputs = specs
        self.provider = _provider(first)
        self.precision = _PRECISIONS[first.get_property("INFERENCE_PRECISION_HINT").get_type_name()]

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs, by name."""
        program = self._program(inputs)
        feed = {number: inputs[spec.name] for number, spec in enumerate(self.inputs)}
        try:
            with self._turn:
                values = program(feed, share_inputs=False).to_tuple()
        except Exception as error:
            raise _crashed(sentence(error)) from error
        return {spec.name: value for spec, value in zip(self.outputs, values, strict=True)}

    def prepare(self, inputs: Arrays) -> Callable[[], object]:
        """Give `InferRequest.infer` with these inputs bound, whose outputs stay where they are."""
        import numpy as np

        request = self._program(inputs).create_infer_request()
        # OpenVINO reads them where they lie, so they must lie in rows and live as long.
        laid_out = partial(np.require, requirements=("C", "A", "W"))
        request.held = [laid_out(inputs[spec.name]) for spec in self.inputs]
        for number, value in enumerate(request.held):
            request.set_input_tensor(number, self._module.Tensor(value, shared_memory=True))
        return partial(request.infer, share_outputs=True)

    def close(self) -> None:
        """Let go of all programs."""
        self._programs = None

    def _program(self, inputs: Arrays) -> Any:
        assert self._programs is not None
        if self.provider == "cpu":
            _refuse_wide(inputs)
        try:
            return self._programs.get(tuple(inputs[spec.name].shape for spec in self.inputs))
        except Unfit as error:
            raise _crashed(str(error)) from error


def choices(provider: str) -> dict[str, tuple[str, ...]]:
    """Give the options that change anything on a provider."""
    idle = () if provider == "cpu" else ("cpu_pinning",)
    return {name: values for name, values in OPTIONS.items() if name not in idle}


def open_session(
    variant: Variant, *, provider: str, threads: int, options: Options
) -> OpenvinoSession:
    """Open an ONNX file on one device.

    Raises:
        InputError: An option is unknown, or it has no such value.
        UnavailableError: The device computes on fewer threads.
        ModelError: OpenVINO refuses the file.
    """
    chosen = choose_options(NAME, choices(provider), options)
    module = engine()
    assert module is not None, "open_session() is called where availability() is ok"
    model = _read(variant)
    specs = _specs(model, *axis_names(variant.path))
    config, fixed = _config(provider, threads, chosen), chosen["shape"] == "as-fed"
    programs = Programs(module, model, DEVICES[provider], config, fixed=fixed)
    try:
        first = programs.first()
    except Unfit as error:
        raise _refusal(variant, str(error)) from error
    if provider == "cpu":
        _refuse_fewer(threads, first.get_property("INFERENCE_NUM_THREADS"))
    return OpenvinoSession(module, programs, first, specs)


def _read(variant: Variant) -> Any:
    try:
        model = read_onnx(variant.files[0])
    except Exception as error:
        raise _refusal(variant, sentence(error)) from error
    if not model.outputs:  # nothing at all is a graph for OpenVINO
        raise _refusal(variant, "it holds no graph.")
    return model


def _refusal(variant: Variant, text: str) -> ModelError:
    return ModelError(
        f"OpenVINO refuses {variant.path}: {text}",
        "Export the model anew, or check that the file is whole.",
    )


def _config(provider: str, threads: int, chosen: dict[str, str]) -> dict[str, Any]:
    config = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": _TYPES[chosen["precision"]],
    }
    if provider != "cpu":
        return config
    return config | {
        "NUM_STREAMS": 1,  # calls come one after the other
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_HYPER_THREADING": True,  # or there may be fewer threads than asked for
        "ENABLE_CPU_PINNING": chosen["cpu_pinning"] == "on",
    }


def _refuse_fewer(asked: int, there: int) -> None:
    if there != asked:
        raise UnavailableError(
            f"OpenVINO computes on {there} threads here, and {asked} were asked for.",
            f"Use --threads {there}.",
        )


def _provider(program: Any) -> str:
    (device,) = {each.partition(".")[0] for each in program.get_property("EXECUTION_DEVICES")}
    return str(device.lower())


_Specs = tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]


def _specs(model: Any, inputs: Axes, outputs: Axes) -> _Specs:
    return (
        tuple(_spec(port, inputs) for port in model.inputs),
        tuple(_spec(port, outputs) for port in model.outputs),
    )


def _spec(port: Any, axes: Axes) -> TensorSpec:
    # A tensor that an operator hands on has both names: the file knows which one is declared.
    name = next(name for name in axes if name in port.get_names())
    element, shape = port.element_type, port.partial_shape
    if element.get_type_name() == "bf16" or shape.rank.is_dynamic:
        raise ModelError(
            f"'{name}' is {element.get_type_name()} {shape}, which NumPy has no words for.",
            "Give the model inputs and outputs of plain numbers, and of known rank.",
        )
    names = axes[name] if len(axes[name]) == len(shape) else [""] * len(shape)
    sizes = (
        text or "?" if size.is_dynamic else size.get_length()
        for text, size in zip(names, shape, strict=True)
    )
    return TensorSpec(name, element.to_dtype().name, tuple(sizes))


def _refuse_wide(inputs: Arrays) -> None:
    for name, value in inputs.items():
        wide = value.dtype.name in _WIDE and value.size
        if wide and max(-int(value.min()) - 1, int(value.max())) > _MOST_INTEGER:
            raise InputError(
                f"Input '{name}' holds integers beyond 32 bits, which OpenVINO cuts off on a CPU.",
                "Use --runtime ort.",
            )


def _crashed(text: str) -> RuntimeCrashed:
    return RuntimeCrashed(f"OpenVINO failed in a run: {text}")
