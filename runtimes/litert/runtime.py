"""LiteRT, which was TensorFlow Lite: the engine of many phones, on the CPU by XNNPACK.

It reads `.tflite` files, each made for batches of one (`edgecnn export --format tflite`). The
engine is small; litert-torch, which makes the files from a PyTorch net, brings a gigabyte and is
for the workshop alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError, RuntimeCrashed, UnavailableError
from edgecnn.runtime import (
    OTHER_ENGINE,
    Availability,
    Converted,
    Options,
    TensorSpec,
    Variant,
    choose_options,
    package_availability,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

NAME = "litert"
FORMATS = frozenset({"tflite"})
PROVIDERS = ("cpu",)
CONVERTS_NET = True
LIMITS = {
    "batch": "A .tflite file is made for batches of one.",
    "inputs": "A net that is converted has one input.",
    "int8": "A net is converted in fp32.",
}


class LitertSession:
    """A file in LiteRT's interpreter."""

    provider = "cpu"

    def __init__(self, interpreter: Any) -> None:
        signature = interpreter.get_signature_runner()
        inputs, outputs = signature.get_input_details(), signature.get_output_details()
        self._interpreter = interpreter
        # A signature gives names in the alphabet's order, the graph tensors in the net's.
        self._into = _in_order(inputs, interpreter.get_input_details())
        self._out_of = _in_order(outputs, interpreter.get_output_details())
        self.inputs = tuple(_spec(name, inputs[name]) for name in self._into)
        self.outputs = tuple(_spec(name, outputs[name]) for name in self._out_of)

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs, by name."""
        try:
            values = self._call(inputs)
        except (RuntimeError, ValueError) as error:
            problem = f"LiteRT failed in a run: {_sentence(error)}"
            raise RuntimeCrashed(problem, OTHER_ENGINE) from error
        return dict(zip(self._out_of, values, strict=True))

    def prepare(self, inputs: Arrays) -> Callable[[], list[NDArray[np.generic]]]:
        """Give `Interpreter.invoke` on these inputs, with the copies that it needs in and out."""
        return lambda: self._call(inputs)

    def close(self) -> None:
        """Free the interpreter."""
        self._interpreter = None

    def _call(self, inputs: Arrays) -> list[NDArray[np.generic]]:
        interpreter = self._interpreter
        for name, index in self._into.items():
            interpreter.set_tensor(index, inputs[name])
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in self._out_of.values()]


def availability(provider: str) -> Availability:
    """Say whether LiteRT's interpreter is there."""
    packages = {"ai_edge_litert.interpreter": "ai-edge-litert"}
    return package_availability(NAME, provider, PROVIDERS, packages, "edgecnn[litert]")


def open_session(
    variant: Variant, *, provider: str, threads: int, options: Options
) -> LitertSession:
    """Open a `.tflite` file.

    Raises:
        InputError: An option is given: it has none.
        ModelError: LiteRT refuses the file.
    """
    from ai_edge_litert.interpreter import Interpreter

    choose_options(NAME, {}, options)
    try:
        interpreter = Interpreter(model_path=str(variant.path), num_threads=threads)
        interpreter.allocate_tensors()
        return LitertSession(interpreter)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"LiteRT refuses {variant.path}: {_sentence(error)}",
            "Make it anew with `edgecnn export --format tflite`, or check that the file is whole.",
        ) from error


def convert(
    source: Variant, folder: Path, *, name: str, options: Mapping[str, str], net: Any
) -> Converted:
    """Write a bundle's net as a `.tflite` file; the arguments are the contract's.

    Raises:
        InputError: The source is no fp32 variant that takes pixels.
        ModelError: litert-torch cannot convert the net.
        UnavailableError: litert-torch is not installed.
    """
    if find_spec("litert_torch") is None:
        raise UnavailableError(
            "A .tflite file is made with litert-torch, which is not installed.",
            "Install it with `pip install litert-torch`; it brings a gigabyte, so give it an "
            "environment of its own.",
        )
    from .converting import write_tflite

    choose_options(NAME, {}, options)
    return write_tflite(source, folder, name, net)


def _in_order(named: Mapping[str, Any], graph: list[dict[str, Any]]) -> dict[str, int]:
    names = {int(found["index"]): name for name, found in named.items()}
    return {names[int(tensor["index"])]: int(tensor["index"]) for tensor in graph}


def _spec(name: str, found: Mapping[str, Any]) -> TensorSpec:
    import numpy as np

    return TensorSpec(name, np.dtype(found["dtype"]).name, tuple(map(int, found["shape"])))


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith(".") else f"{text}."
