"""From an ONNX file to a graph that tract can run, for sizes that are all known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError
from edgecnn.runtime import TensorSpec, Variant

if TYPE_CHECKING:
    from onnx import ValueInfoProto

Shapes = tuple[tuple[int, ...], ...]

# tract's names of element types where they are not NumPy's.
_KINDS = {"float": "f", "uint": "u", "int": "i"}


class Refused(Exception):
    """What tract cannot load or run.

    Attributes:
        about_sizes: It may be that only these sizes do not fit.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(_sentence(error))
        self.about_sizes = str(error).startswith("Failed analyse")


class Source:
    """A file that is loaded anew for each set of sizes, since tract's graphs cannot be copied.

    Args:
        variant: A located variant.

    Attributes:
        inputs: What goes in, as the file declares it.
        outputs: What comes out.

    Raises:
        ModelError: It is no ONNX file that tract and onnx can read.
    """

    def __init__(self, variant: Variant) -> None:
        self._files = [Path(file) for file in variant.files]
        self._variant = variant
        try:
            self._order = _input_names(_load(self._files[0]))
        except Refused as error:
            raise refusal(variant, str(error)) from error
        self._state = self._now()
        declared = {spec.name: spec for spec in _specs(self._files[0], "input")}
        self.inputs = tuple(declared[name] for name in self._order)
        self.outputs = tuple(_specs(self._files[0], "output"))

    @property
    def is_fixed(self) -> bool:
        """The file itself says every size of its inputs."""
        return all(isinstance(size, int) for spec in self.inputs for size in spec.shape)

    def runnable(self, shapes: Shapes) -> Any:
        """Load the file and make it ready for inputs of these shapes.

        Raises:
            Refused: tract has no such operator, or cannot compute these sizes.
            ModelError: The file changed since it was opened.
        """
        import tract

        if self._now() != self._state:
            raise ModelError(f"{self._files[0]} changed while it was in use.", "Open it again.")
        model = _load(self._files[0])
        try:
            for number, (spec, shape) in enumerate(zip(self.inputs, shapes, strict=True)):
                model.set_input_fact(number, _fact(spec.dtype, shape))
            return model.into_model().into_runnable()
        except tract.TractError as error:
            raise Refused(error) from error

    def _now(self) -> list[tuple[int, int, int]]:
        states = [file.stat() for file in self._files]
        return [(state.st_ino, state.st_size, state.st_mtime_ns) for state in states]


def refusal(variant: Variant, reason: str) -> ModelError:
    """Give the error that says why tract cannot load a variant."""
    return ModelError(
        f"tract refuses {variant.path}: {reason}",
        "Use another --runtime, or check that the file is whole.",
    )


def _load(path: Path) -> Any:
    import tract

    try:
        return tract.onnx().load(path)
    except tract.TractError as error:
        raise Refused(error) from error


def _input_names(model: Any) -> list[str]:
    return [model.input_name(number) for number in range(model.input_count())]


def _specs(path: Path, which: str) -> Iterator[TensorSpec]:
    # tract renames outputs after the operators that make them, and forgets their declared shapes.
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    for value in getattr(graph, which):
        yield _spec(value, path)


def _spec(value: ValueInfoProto, path: Path) -> TensorSpec:
    from onnx.helper import tensor_dtype_to_np_dtype

    tensor = value.type.tensor_type
    if not tensor.elem_type or not tensor.HasField("shape"):
        raise ModelError(
            f"'{value.name}' of {path} is no tensor of known rank.", "Export the model anew."
        )
    # PaddlePaddle leaves a size open by writing -1.
    shape = tuple(
        axis.dim_value
        if axis.HasField("dim_value") and axis.dim_value >= 0
        else axis.dim_param or "?"
        for axis in tensor.shape.dim
    )
    return TensorSpec(value.name, tensor_dtype_to_np_dtype(tensor.elem_type).name, shape)


def _fact(dtype: str, shape: tuple[int, ...]) -> str:
    """Write a shape and a dtype as tract does.

    >>> _fact("uint8", (1, 32, 32, 3)), _fact("float32", ()), _fact("bool", (2,))
    ('1,32,32,3,u8', 'f32', '2,bool')
    """
    letters, bits = re.fullmatch(r"([a-z]+)(\d*)", dtype).groups()  # type: ignore[union-attr]
    return ",".join([*map(str, shape), f"{_KINDS.get(letters, letters)}{bits}"])


def _sentence(error: Exception) -> str:
    """Give the first and the last cause of one of tract's errors, without its stack."""
    text = str(error).partition("\nStack backtrace:")[0]
    missing = re.search(r'node #\d+ "(.*)" Unimplemented\((.+?)\)', text)
    if missing:
        return f"it has no operator '{missing[2]}' (node '{missing[1]}')."
    lines = [re.sub(r"^\s*(\d+: )?", "", line) for line in text.splitlines()]
    causes = [line for line in lines if line and line != "Caused by:"] or [type(error).__name__]
    return f"{': '.join(dict.fromkeys([causes[0], causes[-1]])).rstrip('.')}."
