"""Letting a foreign ONNX file in: the gate, its name in tables, and what it declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import extras
from edgecnn.errors import InputError
from edgecnn.graph.gate import check_file
from edgecnn.graph.limits import LIVE_BYTES
from edgecnn.graph.shapes import declared, real_inputs
from edgecnn.guard import memory_for
from edgecnn.records import file_sha256
from edgecnn.runtime import normalise_provider
from edgecnn.spec import Precision, TensorSpec, Variant

if TYPE_CHECKING:
    from onnx import ModelProto

# At batch 1 the gate's own budget holds. In a larger batch each sample more may take so much: four
# times what the largest of torchvision's nets take.
_SAMPLE_BYTES = LIVE_BYTES // 4

# Engines compute these by approximations whose error is one of 1, however small the result is.
UP_TO_ONE = {"HardSigmoid", "Sigmoid", "Softmax", "Tanh"}
_SAME_VALUES = {
    "Flatten",
    "Identity",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}

_INTEGER = {
    "ConvInteger",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
}


@dataclass(frozen=True)
class PlainFile:
    """An ONNX file that passed the gate.

    Attributes:
        name: What it is called in tables: its file name, with as many of its folders as tell it
            from the others.
        variant: What a runtime opens. Its precision is `int8` where activations are quantized, and
            `fp16` where weights are stored so.
        inputs: What goes in, as the graph declares it.
        measured: SHA-256 of the file and of those with its weights, by name.
        memory: Bytes that a session of it may take at batch 1, beyond the engine itself.
        up_to_one: Names of outputs that end in a sigmoid, softmax or tanh.
    """

    name: str
    variant: Variant
    inputs: tuple[TensorSpec, ...]
    measured: dict[str, str]
    memory: int
    up_to_one: frozenset[str]

    def memory_for(self, samples: int, provider: str | None) -> int | None:
        """Give the bytes that a session may take; None for any.

        Args:
            samples: How many its runs hold.
            provider: Where it computes. A GPU's driver maps memory of its own, which counts too and
                has little to do with the model.
        """
        if normalise_provider(provider or "cpu") != "cpu":
            return None
        return self.memory + (samples - 1) * _SAMPLE_BYTES

    def __str__(self) -> str:
        return self.name


def is_file_name(path: Path | str) -> bool:
    """Say whether a plain file is meant, be it there or not; otherwise it is a bundle."""
    path = Path(path)
    return path.is_file() or (path.suffix == ".onnx" and not path.is_dir())


def open_files(paths: Sequence[Path | str]) -> tuple[PlainFile, ...]:
    """Let ONNX files in that belong to no bundle.

    Raises:
        InputError: There is no such file, or one is named twice.
        ModelError: The gate refuses it.
        UnavailableError: onnx is not installed.
    """
    found = [existing_file(Path(path)) for path in paths]
    places = Counter(path.resolve() for path in found)
    for path in found:
        if places[path.resolve()] > 1:
            raise InputError(f"{path} is named twice.", "Name each file once.")
    return tuple(map(_open, found, _names(found)))


def existing_file(path: Path) -> Path:
    """Give the path of a file that is there.

    Raises:
        InputError: There is no such file.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder.", "Name the ONNX file itself.")
    if not path.is_file():
        raise InputError(f"There is no file {path}.", "Check the path.")
    return path


def _names(paths: Sequence[Path]) -> list[str]:
    depth = 1
    while True:
        names = ["/".join(path.absolute().parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
        depth += 1


def _open(path: Path, name: str) -> PlainFile:
    extras.require("Looking into a graph", "onnx")
    model = check_file(path)
    variant = plain_variant(path, model, name)
    inputs = tuple(map(declared, real_inputs(model.graph)))
    folder = Path(name).parent
    digests = {name: file_sha256(path)}
    for file in map(Path, variant.files[1:]):
        digests[str(folder / file.name)] = file_sha256(file)
    memory = memory_for(model, path.parent)
    return PlainFile(name, variant, inputs, digests, memory, frozenset(_up_to_one(model)))


def plain_variant(path: Path, model: ModelProto, name: str) -> Variant:
    """Describe a file that belongs to no bundle as a runtime opens it, with its weights beside it.

    Args:
        path: Where it lies.
        model: What it holds.
        name: What it is called.
    """
    return Variant(
        name=name,
        precision=_precision(model),
        format="onnx",
        files=tuple(map(str, (path, *_beside(model, path.parent)))),
        preprocessing=False,
    )


def _beside(model: ModelProto, folder: Path) -> list[Path]:
    places = {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [folder / place for place in sorted(places)]


def _up_to_one(model: ModelProto) -> Iterator[str]:
    makers = {name: node for node in model.graph.node for name in node.output}
    for output in model.graph.output:
        maker = makers.get(output.name)
        while maker is not None and maker.op_type in _SAME_VALUES:
            maker = makers.get(maker.input[0])
        if maker is not None and maker.op_type in UP_TO_ONE:
            yield output.name


def _precision(model: ModelProto) -> Precision:
    from onnx import TensorProto

    if any(node.op_type in _INTEGER for node in model.graph.node):
        return "int8"
    kinds = {weight.data_type for weight in model.graph.initializer if len(weight.dims) > 1}
    return "fp16" if TensorProto.FLOAT16 in kinds else "fp32"
