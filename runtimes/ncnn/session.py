"""A net of ncnn, loaded and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError, RuntimeCrashed
from edgecnn.runtime import choose_options

from .facts import Facts
from .silence import silence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

OPTIONS = {"precision": ("fp32", "fp16", "bf16"), "winograd": ("on", "off")}

_STORAGE = {
    "fp16": ("use_fp16_storage", "use_fp16_packed", "use_fp16_arithmetic"),
    "bf16": ("use_bf16_storage", "use_bf16_packed"),
}


class NcnnSession:
    """A net of ncnn."""

    provider = "cpu"

    def __init__(self, net: Any, facts: Facts, precision: str) -> None:
        self._net = net
        self._facts = facts
        self.precision = precision
        self.inputs = (facts.input,)
        self.outputs = facts.outputs

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs, by name."""
        import numpy as np

        found = self.prepare(inputs)()
        outputs = {}
        for spec, (code, mat) in zip(self.outputs, found, strict=True):
            if code != 0:
                raise RuntimeCrashed(f"ncnn failed in a run: '{spec.name}' gave code {code}.")
            # ncnn pads each channel: the array that looks at its memory has steps of its own.
            outputs[spec.name] = np.array(mat).reshape(self._facts.sizes(spec))
        return outputs

    def prepare(self, inputs: Arrays) -> Callable[[], tuple[tuple[int, Any], ...]]:
        """Give an extractor's life on these inputs: made, fed and asked for each output."""
        import numpy as np

        (image,) = inputs[self._facts.input.name]
        return partial(self._extract, _feeder(np.ascontiguousarray(image), self._facts))

    def close(self) -> None:
        """Free the net."""
        self._net = None

    def _extract(self, feed: Callable[[], Any]) -> tuple[tuple[int, Any], ...]:
        extractor = self._net.create_extractor()
        extractor.input(self._facts.input_blob, feed())
        return tuple(extractor.extract(name) for name in self._facts.output_blobs)


def open_net(
    param: Path,
    weights: Path,
    facts: Facts,
    chosen: Mapping[str, str] | None = None,
    threads: int = 1,
) -> NcnnSession:
    """Load a net.

    Args:
        param: Its layers.
        weights: Their weights.
        facts: What goes in and comes out.
        chosen: A value for each of `OPTIONS`; the first of each by default.
        threads: Threads within a layer.

    Raises:
        ModelError: ncnn refuses it.
    """
    net = _net(choose_options("ncnn", OPTIONS, chosen or {}), threads)
    with silence():
        loaded = net.load_param(str(param)) == 0 and net.load_model(str(weights)) == 0
    if not loaded:
        raise ModelError(
            f"ncnn refuses {param}: its layers and weights do not fit together.",
            "Make it anew with `edgecnn export --format ncnn`.",
        )
    return NcnnSession(net, facts, _stored(net))


def _net(chosen: Mapping[str, str], threads: int) -> Any:
    import ncnn

    net = ncnn.Net()
    for precision, switches in _STORAGE.items():
        for switch in switches:
            setattr(net.opt, switch, precision == chosen["precision"])
    net.opt.num_threads = threads
    net.opt.use_winograd_convolution = chosen["winograd"] == "on"
    return net


def _stored(net: Any) -> str:
    """Say how a loaded net stores its tensors, as its own options have it."""
    asked = [name for name, switches in _STORAGE.items() if getattr(net.opt, switches[0])]
    return asked[0] if asked else "fp32"


def _feeder(image: NDArray[Any], facts: Facts) -> Callable[[], Any]:
    import ncnn

    if not facts.pixels:
        # A layer may compute in place, and a Mat of an array is a view of it.
        view = ncnn.Mat(image)
        return lambda: view.clone()
    height, width, channels = image.shape
    kinds = ncnn.Mat.PixelType
    kind = kinds.PIXEL_GRAY if channels == 1 else kinds.PIXEL_RGB
    return partial(ncnn.Mat.from_pixels, image, kind, width, height)
