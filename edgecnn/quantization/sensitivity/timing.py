"""The time of each layer in fp32 and in int8, from the runtime's own profile of both in one run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.disk import disk_errors, temporary_folder
from edgecnn.golden import make_npz
from edgecnn.graph.clean import to_bytes
from edgecnn.graph.prefix import PIXELS, put_preprocessing_in_front
from edgecnn.predictor import normalise
from edgecnn.profiling import ProfileReport, VariantProfile, profile
from edgecnn.progress import Progress
from edgecnn.quantization.running import image_input
from edgecnn.quantization.sensitivity.report import LayerTime, OperatorTime
from edgecnn.spec import InputContract, Variant

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray


_MOST_IMAGES = 8


@dataclass(frozen=True)
class Times:
    """What was timed.

    Attributes:
        layers: Each layer's time in both files, in the order of the graph.
        fp32_seconds: Latency of the whole fp32 file.
        int8_seconds: Latency of the whole int8 file.
        threads: Threads of the sessions.
    """

    layers: tuple[LayerTime, ...]
    fp32_seconds: float
    int8_seconds: float
    threads: int


def time_layers(
    source: Variant,
    core: ir.Model,
    int8: ir.Model,
    contract: InputContract,
    images: NDArray[np.uint8],
    wanted: Iterable[str],
    *,
    threads: int | None,
    duration: float,
    tell: Progress,
) -> Times:
    """Profile the fp32 file and the int8 core in one run, at batch 1 or the file's own.

    Args:
        source: The located fp32 variant.
        core: Its prepared float core.
        int8: What was made of that; it gets the preprocessing that the source has.
        contract: How pictures become input.
        images: uint8 [N, height, width, channels].
        wanted: Names of the layers.
        threads: Threads of the sessions; by default the cores allowed.
        duration: Seconds of measuring for each of the two.
        tell: Called with what is done and the share (0 to 1) that is behind.
    """
    whole = put_preprocessing_in_front(int8, contract) if source.preprocessing else int8
    with temporary_folder() as folder:
        file, inputs = folder / "int8.onnx", folder / "images.npz"
        with disk_errors(file):
            file.write_bytes(to_bytes(whole))
            inputs.write_bytes(make_npz(_inputs(source, core, contract, images)))
        found = profile(
            [source.path, file],
            threads=threads,
            inputs=inputs,
            duration=duration,
            progress=tell,
        )
    return _times(found, core, set(wanted))


def _inputs(
    source: Variant, core: ir.Model, contract: InputContract, images: NDArray[np.uint8]
) -> dict[str, NDArray[np.uint8] | NDArray[np.float32]]:
    import numpy as np

    name, batch = image_input(core)
    count = max(batch or 1, _MOST_IMAGES // (batch or 1) * (batch or 1))
    taken = images[np.arange(count) % len(images)]
    return {PIXELS: taken} if source.preprocessing else {name: normalise(contract, taken)}


def _times(found: ProfileReport, core: ir.Model, wanted: set[str]) -> Times:
    fp32, int8 = found.variants
    layers = [
        LayerTime(str(node.name), _operator(fp32, node), _operator(int8, node))
        for node in core.graph
        if node.name in wanted
    ]
    seconds = (fp32.latency_seconds, int8.latency_seconds)
    return Times(tuple(layers), *seconds, found.setup.threads)


def _operator(one: VariantProfile, node: ir.Node) -> OperatorTime | None:
    # A layer without a name is called after its output in the file that was imported.
    names: Sequence[str | None] = (node.name, *(value.name for value in node.outputs))
    for each in one.operators:
        if any(name in each.layers for name in names):
            leads = each.layers[0] in names
            return OperatorTime(each.operator, each.seconds, each.layers, leads)
    return None
