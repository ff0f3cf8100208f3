"""A graph compiled for the shapes that come: one program for each."""

from __future__ import annotations

from types import ModuleType
from typing import Any

Shapes = tuple[tuple[int, ...], ...]

_OPEN = -1
_MOST = 8  # each holds its own buffers, and few callers feed more shapes than two


class Unfit(Exception):
    """OpenVINO cannot compile a graph for some shapes; the text is one sentence."""


class Programs:
    """What OpenVINO makes of a graph.

    Args:
        module: OpenVINO.
        model: The graph as it was read.
        device: Its name of where to compute.
        config: Its properties.
        fixed: Compile for the shapes that come, and not once for all.
    """

    def __init__(
        self,
        module: ModuleType,
        model: Any,
        device: str,
        config: dict[str, Any],
        *,
        fixed: bool,
    ) -> None:
        self._module = module
        self._core = module.Core()
        self._model = model
        self._device = device
        self._config = config
        self._declared = tuple(_sizes(port.partial_shape) for port in model.inputs)
        self._fixed = fixed and any(_OPEN in sizes for sizes in self._declared)
        self._made: dict[Shapes, Any] = {}

    def first(self) -> Any:
        """Compile it once, to see how it computes: for one sample, which is fed most often.

        Raises:
            Unfit: It cannot be compiled at all.
        """
        one = tuple((1, *sizes[1:]) if sizes[:1] == (_OPEN,) else sizes for sizes in self._declared)
        try:
            # A size that is open elsewhere stays so, in a program that nothing is run on.
            return self._compile(one) if any(_OPEN in sizes for sizes in one) else self.get(one)
        except Unfit:
            return self._compile(self._declared)

    def get(self, shapes: Shapes) -> Any:
        """Give the program for inputs of these shapes.

        Raises:
            Unfit: The graph cannot take them.
        """
        key = shapes if self._fixed else self._declared
        if key not in self._made:
            program = self._compile(key)
            while len(self._made) >= _MOST:
                del self._made[next(iter(self._made))]
            self._made[key] = program
        return self._made[key]

    def _compile(self, shapes: Shapes) -> Any:
        try:
            self._model.reshape(
                {number: self._module.PartialShape(list(one)) for number, one in enumerate(shapes)}
            )
            return self._core.compile_model(self._model, self._device, self._config)
        except Exception as error:  # its classes have no base of their own
            raise Unfit(sentence(error)) from error


def _sizes(shape: Any) -> tuple[int, ...]:
    return tuple(_OPEN if size.is_dynamic else size.get_length() for size in shape)


def sentence(error: Exception) -> str:
    """Give what OpenVINO says last, which is what is wrong, as one sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1].lstrip("- ") if lines else type(error).__name__
    return text if text.endswith(".") else f"{text}."
