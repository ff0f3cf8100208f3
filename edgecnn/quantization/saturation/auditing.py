"""What 8-bit weights would risk on a CPU that adds two products in 16 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.predictor import scores_output
from edgecnn.progress import Progress, tell_nobody
from edgecnn.quantization.running import open_core
from edgecnn.quantization.saturation.replaying import Player, Replay
from edgecnn.quantization.saturation.report import SaturatedLayer, SaturationReport

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecnn.spec import InputContract


# What takes half a minute at the most: a second for each image of resnet18 at 224x224, 15 ms for
# resnet8 at 32x32. Of 256 images, one flip in a hundred is seen with 92 % probability.
AUDIT_IMAGES, _FEWEST = 256, 24
_PIXELS = 256 * 64 * 64


def audit(
    content: bytes,
    contract: InputContract,
    images: NDArray[np.uint8],
    progress: Progress | None = None,
) -> SaturationReport:
    """Replay images in exact integers, with and without saturation.

    Wrong values are carried on from layer to layer, so that the answers are those of a CPU with
    AVX2 and no VNNI, bit for bit where all between the first and the last operator is integer. The
    replay of this CPU is held against what ONNX Runtime answers on it. Memory does not grow with
    the number of images.

    Args:
        content: A quantized ONNX model, with or without preprocessing inside.
        contract: Size, scale, mean, std, layout and kind of output.
        images: uint8 [M, height, width, channels]; M is 1 or more.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        ModelError: ONNX Runtime refuses the model, or an operator of it cannot be run alone.
    """
    tell = progress or tell_nobody
    player = Player(content)

    def play(start: float, *, saturating: bool) -> Replay:
        def told(share: float) -> None:
            tell("Replaying what a CPU without VNNI would answer", start + share / 2)

        return player.play(contract, images, saturating=saturating, tell=told)

    exact, saturated = play(0.0, saturating=False), play(0.5, saturating=True)
    saturates = here_saturates()
    here = player.run_here(content, contract, images)
    same = ~_changed((saturated if saturates else exact).outputs, here)
    return SaturationReport(
        images=len(images),
        layers=_layers(saturated),
        changed=int(_changed(exact.outputs, saturated.outputs).sum()),
        flips=_flips(contract, exact, saturated),
        largest_error=_largest_error(exact, saturated),
        here_saturates=saturates,
        confirmed=int(same.sum()),
        not_replayed=player.not_replayed,
    )


def images_for(contract: InputContract) -> int:
    """Give how many images are replayed unless more are asked for: 256, fewer if they are large."""
    fits = _PIXELS // (contract.height * contract.width)
    return max(_FEWEST, min(AUDIT_IMAGES, fits))


def here_saturates() -> bool:
    """Ask ONNX Runtime whether it saturates on this CPU: 255 * 127 + 255 * 127 is 64,770."""
    from onnx import helper, numpy_helper

    constants = {
        "scale": np.float32(1),
        "zero": np.uint8(0),
        "weights": np.full((2, 1), 127, np.int8),
        "signed_zero": np.int8(0),
        "larger": np.float32(64_770 / 200),
    }
    names = ["x", "scale", "zero", "weights", "scale", "signed_zero", "larger", "zero"]
    graph = helper.make_graph(
        [helper.make_node("QLinearMatMul", names, ["y"])],
        "pair",
        [helper.make_tensor_value_info("x", 2, [1, 2])],
        [helper.make_tensor_value_info("y", 2, [1, 1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 10)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    session = open_core(model.SerializeToString())
    [answer] = session.run(None, {"x": np.full((1, 2), 255, np.uint8)})
    return int(answer.item()) != 200


def statement(report: SaturationReport) -> str:
    """Say in sentences what was found, and that it proves nothing for other images."""
    share = report.saturated / max(1, report.pairs)
    layers = sum(layer.saturated > 0 for layer in report.layers)
    found = (
        f"On {report.images:,} images, {report.saturated:,} of {report.pairs:,} sums of two "
        f"products ({100 * share:.2g} %) saturate on a CPU with AVX2 and no VNNI, in {layers} of "
        f"{len(report.layers)} layers; {report.changed:,} answers change there"
    )
    flips = "" if report.flips is None else f", {report.flips:,} of them to another class"
    return (
        f"{found}{flips}. It proves nothing for other images: only weights whose largest pair sum "
        "stays within 32,767 do."
    )


def _layers(replay: Replay) -> tuple[SaturatedLayer, ...]:
    return tuple(
        SaturatedLayer(
            layer=layer,
            pairs=each.pairs,
            saturated=each.saturated,
            largest_pair_sum=each.largest,
            outputs=each.outputs,
            changed_outputs=each.changed,
        )
        for layer, each in replay.counts.items()
    )


def _changed(first: dict[str, NDArray[Any]], second: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Say for each image whether any bit of any output differs."""
    differing = [
        (first[name] != second[name]).reshape(len(first[name]), -1).any(axis=1) for name in first
    ]
    found: NDArray[np.bool_] = np.logical_or.reduce(differing)
    return found


def _flips(contract: InputContract, exact: Replay, saturated: Replay) -> int | None:
    if contract.output_kind == "other":
        return None
    name = scores_output(contract, list(exact.outputs))
    pair = exact.outputs[name], saturated.outputs[name]
    return int(np.count_nonzero(pair[0].argmax(axis=-1) != pair[1].argmax(axis=-1)))


def _largest_error(exact: Replay, saturated: Replay) -> float:
    pairs = ((exact.outputs[name], saturated.outputs[name]) for name in exact.outputs)
    return max(
        float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0.0))
        for a, b in pairs
    )
