"""Does int8 gain as much with uint8 pixels in as with floats that are normalised already?

A net in fp32 and in int8, in four forms: the float core alone; the core with edgecnn's
preprocessing put in front after quantizing; pixels straight into int8, mean and std folded into the
first convolution, where that can be done; and, for contrast, int8 made the usual way, with the
normalisation in the graph and the whole graph quantized. All forms with pixels in stand against the
same fp32. fp32 and int8 take turns in ABBA blocks, on one thread. Prints a table in Markdown; the
median of every turn goes to results/.

    python benchmarks/pixels_in.py [--nets lenet,resnet8] [--seconds 10] [--rounds 3]

The ratio with pixels in, either way, may be at most 5 % above the one with floats in. resnet8's
first convolution is padded: it is measured straight with a mean that is alike in all channels.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, load_model_from_string, numpy_helper

from edgecnn.benchmark import BenchReport, LatencyComparison, bench
from edgecnn.benchmark.samples import Leg
from edgecnn.bundle import Bundle, create, new_manifest
from edgecnn.disk import write_atomically
from edgecnn.exporting.core import export_core
from edgecnn.extras import quietly
from edgecnn.graph.clean import clean, from_bytes, to_bytes
from edgecnn.graph.prefix import put_preprocessing_in_front
from edgecnn.predictor import load
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.pixels import fold_pixels
from edgecnn.quantization.running import open_core, run_core
from edgecnn.records import to_json
from edgecnn.reports import make_report
from edgecnn.runtime import check_available
from edgecnn.shelves import load_file, model_folder
from edgecnn.spec import InputContract, Variant

RESULTS = Path(__file__).parent / "results" / "pixels_in.json"
CONTRACT = InputContract(32, 32, mean=(0.491, 0.482, 0.447), std=(0.247, 0.243, 0.262))
# One pixel value that stands for the zeros around the image; answers differ, times do not.
ALIKE = replace(CONTRACT, mean=(0.5, 0.5, 0.5))
MOST = 1.05
FORMS = {
    "float": "floats in, no preprocessing",
    "pixels": "pixels in, preprocessing in front",
    "straight": "pixels in, straight into int8",
    "naive": "pixels in, whole graph quantized",
}


@dataclass(frozen=True)
class Figures:
    """One form of one net: int8 against fp32, once a round, with every sample."""

    net: str
    form: str
    rounds: tuple[BenchReport, ...]

    @property
    def comparisons(self) -> list[LatencyComparison]:
        return [each.comparisons[0] for each in self.rounds]

    @property
    def ratio(self) -> float:
        return median(each.ratio for each in self.comparisons)


def main() -> None:
    options = parse_options()
    check_available("ort", "cpu")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (128, *CONTRACT.pixel_shape), dtype=np.uint8)
    found: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder:
        for net in options.nets.split(","):
            bundle = make_bundle(net, images, Path(folder) / net)
            refuse_different_answers(bundle, images)
            found += measure(net, bundle, options)
    report = make_report("pixels-in", [brief(each) for each in found], {})
    write_atomically(RESULTS, to_json(report))
    print(markdown(found))
    sys.exit(any(excess(found, net) > MOST for net in {each.net for each in found}))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default="lenet,resnet8", help="nets on the shelf")
    parser.add_argument("--seconds", type=float, default=10, help="seconds of each comparison")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is repeated")
    return parser.parse_args()


def make_bundle(net: str, images: NDArray[np.uint8], folder: Path) -> Bundle:
    """Make a bundle of a net with random weights, in each form, fp32 and int8."""
    torch.manual_seed(0)
    module = load_file(model_folder(net) / "model.py").Net().eval()
    core = export_core(module, CONTRACT, opset_version=18, batch_size=None)
    int8 = quantize_core(core, CONTRACT, images)
    pixels = [put_preprocessing_in_front(model, CONTRACT) for model in (core, int8)]
    models = {
        "float-fp32": core,
        "float-int8": int8,
        "pixels-fp32": pixels[0],
        "pixels-int8": pixels[1],
        "straight-int8": straight(core, images),
        "naive-int8": naive(core, images),
    }
    manifest = new_manifest(net, CONTRACT, model=None, data=None, environment={})
    manifest = replace(manifest, variants=tuple(map(describe, models)))
    files = {f"{name}.onnx": to_bytes(model) for name, model in models.items()}
    return create(folder, manifest, files)


def straight(core: ir.Model, images: NDArray[np.uint8]) -> ir.Model:
    """Fold mean and std into the first convolution, quantize, and leave no preprocessing."""
    folded = fold_pixels(core, CONTRACT) or fold_pixels(core, ALIKE)
    if folded is None:
        sys.exit("Mean and std cannot be folded into the first convolution.")
    int8 = quantize_core(folded.core, folded.contract, images)
    model = put_preprocessing_in_front(int8, folded.contract)
    session = open_core(to_bytes(model))
    [output] = session.run(None, {session.get_inputs()[0].name: images})
    [wanted] = run_core(int8, folded.contract, images).values()
    if not np.array_equal(output, wanted):
        sys.exit("int8 answers something else with pixels straight in.")
    return model


def describe(name: str) -> Variant:
    precision: Literal["fp32", "int8"] = "int8" if name.endswith("int8") else "fp32"
    pixels = not name.startswith("float")
    return Variant(name, precision, "onnx", (f"{name}.onnx",), preprocessing=pixels)


def naive(core: ir.Model, images: NDArray[np.uint8]) -> ir.Model:
    """Cast, Mul, Sub and Transpose in front of the core, then everything quantized at once."""
    from onnxruntime import quantization as ort

    proto = load_model_from_string(to_bytes(core))
    std = np.array(CONTRACT.std)
    constants = {"scale": CONTRACT.scale / std, "mean": np.array(CONTRACT.mean) / std}
    for name, values in constants.items():
        proto.graph.initializer.append(numpy_helper.from_array(values.astype("f4"), name))
    nodes = [
        helper.make_node("Cast", ["pixels"], ["cast"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["cast", "scale"], ["scaled"], "scale"),
        helper.make_node("Sub", ["scaled", "mean"], ["shifted"], "shift"),
        helper.make_node("Transpose", ["shifted"], ["input"], "transpose", perm=[0, 3, 1, 2]),
    ]
    rest = list(proto.graph.node)
    del proto.graph.node[:], proto.graph.input[:]
    proto.graph.node.extend([*nodes, *rest])
    shape: list[str | int | None] = ["N", *CONTRACT.pixel_shape]
    proto.graph.input.append(helper.make_tensor_value_info("pixels", TensorProto.UINT8, shape))
    fp32 = clean(from_bytes(proto.SerializeToString(), where="the naive model"))

    class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = iter([images])

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"pixels": batch}

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "naive.onnx"
        with quietly():
            ort.quantize_static(
                load_model_from_string(to_bytes(fp32)),
                path,
                Reader(),
                activation_type=ort.QuantType.QUInt8,
                weight_type=ort.QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
            )
        return clean(from_bytes(path.read_bytes(), where="the naive int8 model"))


def refuse_different_answers(bundle: Bundle, images: NDArray[np.uint8]) -> None:
    """Pixels in must answer bit for bit what the core answers to the same pixels, normalised."""
    for precision in ("fp32", "int8"):
        outputs = []
        for form in ("float", "pixels"):
            with load(bundle, variant=f"{form}-{precision}", threads=1) as predictor:
                outputs.append(predictor.run(images))
        if not np.array_equal(outputs[0], outputs[1]):
            sys.exit(f"{bundle.folder.name}: {precision} answers something else with pixels in.")


def measure(net: str, bundle: Bundle, options: argparse.Namespace) -> list[Figures]:
    found: dict[str, list[BenchReport]] = {form: [] for form in FORMS}
    for number in range(options.rounds):
        for form in list(FORMS) if number % 2 == 0 else list(FORMS)[::-1]:
            # All forms with pixels in are held against the same fp32.
            first = "float-fp32" if form == "float" else "pixels-fp32"
            report = bench(
                bundle,
                variants=(first, f"{form}-int8"),
                threads=1,
                duration=options.seconds,
                cold_start=False,
            )
            found[form].append(report)
    return [Figures(net, form, tuple(rounds)) for form, rounds in found.items()]


def brief(figures: Figures) -> Figures:
    """Keep the median of each turn in place of its calls, of which there are millions."""

    def short(leg: Leg) -> Leg:
        return replace(leg, times_ns=[round(median(leg.times_ns))])

    def shorten(report: BenchReport) -> BenchReport:
        blocks = tuple(
            replace(block, legs=tuple(map(short, block.legs))) for block in report.samples.blocks
        )
        return replace(report, samples=replace(report.samples, blocks=blocks))

    return replace(figures, rounds=tuple(map(shorten, figures.rounds)))


def excess(found: list[Figures], net: str) -> float:
    """Give the larger ratio with pixels in, ours, over the ratio with floats in."""
    ratios = {each.form: each.ratio for each in found if each.net == net}
    return max(ratios["pixels"], ratios["straight"]) / ratios["float"]


def markdown(found: list[Figures]) -> str:
    rows = [
        "| net | form | fp32, µs | int8, µs | int8 over fp32 | rounds | noise floor |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in found:
        first = median(c.first_median_seconds for c in each.comparisons) * 1e6
        second = median(c.second_median_seconds for c in each.comparisons) * 1e6
        ratios = ", ".join(f"{c.ratio:.3f}" for c in each.comparisons)
        floor = median(c.noise_floor for c in each.comparisons)
        rows.append(
            f"| {each.net} | {FORMS[each.form]} | {first:.1f} | {second:.1f} | "
            f"**{each.ratio:.2f}** | {ratios} | {100 * floor:.1f} % |"
        )
    nets = dict.fromkeys(each.net for each in found)
    ends = [f"\n{net}: pixels in over floats in {excess(found, net):.3f}." for net in nets]
    return "\n".join([*rows, *ends, f"\nAt most {MOST} is allowed."])


if __name__ == "__main__":
    main()
