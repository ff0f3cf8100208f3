"""Does a CPU without VNNI answer what the replay in exact integers predicts?

Each bundle's fp32 is quantized twice on images of its training split: with full 8-bit weights
(`u8s8`), and with weights that cannot saturate. Test images are replayed with and without
saturation, answered by ONNX Runtime here, and by ONNX Runtime on a Haswell (AVX2, no VNNI) under
qemu. Prints a table in Markdown; counts for each layer, the images that flip and the digests of all
logits go to results/.

    python benchmarks/saturation.py runs/lenet runs/resnet8 [--images 1000] [--cpu haswell]

Every image must be answered bit for bit as predicted, here and there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle import Bundle, open_bundle
from edgecnn.bundle_data import bundle_data
from edgecnn.data import Dataset, by_content
from edgecnn.disk import write_atomically
from edgecnn.emulation import emulator_for
from edgecnn.emulation.run import outputs_as
from edgecnn.graph.clean import from_bytes, to_bytes
from edgecnn.graph.prefix import float_core, put_preprocessing_in_front
from edgecnn.predictor import scores_output
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.saturation import Player, here_saturates
from edgecnn.quantization.schemes import SAFE, find_scheme
from edgecnn.records import sha256, to_json
from edgecnn.reports import make_report
from edgecnn.spec import Variant

RESULTS = Path(__file__).parent / "results"
CALIBRATION_IMAGES = 512


@dataclass(frozen=True)
class Result:
    """One net with one kind of weights: what was predicted, and what was answered."""

    net: str
    scheme: str
    images: int
    pairs: int
    saturated: int
    layers: list[dict[str, Any]]
    exact_here: int
    predicted_changed: int
    answered_changed: int
    predicted_flips: list[int]
    answered_flips: list[int]
    equal_bits: int
    correct_exact: int
    correct_answered: int
    replay_seconds: float
    emulated_seconds: float
    sha256: dict[str, str]

    @property
    def holds(self) -> bool:
        return self.equal_bits == self.exact_here == self.images


def main() -> None:
    options = parse_options()
    if here_saturates():
        sys.exit("This CPU saturates itself: measure on one with VNNI.")
    found = [
        result for folder in options.bundles for result in measure(open_bundle(folder), options)
    ]
    body = {"cpu": options.cpu, "calibration_images": CALIBRATION_IMAGES}
    report = make_report("saturation", body | {"results": [asdict(each) for each in found]}, {})
    bare = replace(report, command=f"saturation.py --images {options.images} --cpu {options.cpu}")
    write_atomically(RESULTS / f"saturation-{date.today()}.json", to_json(bare))
    print("\n".join(markdown(found, options.cpu)))
    sys.exit(not all(each.holds for each in found))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path, help="bundles with an fp32 variant")
    parser.add_argument("--images", type=int, default=1000, help="test images of each net")
    parser.add_argument("--cpu", default="haswell", help="what qemu is to be")
    return parser.parse_args()


def measure(bundle: Bundle, options: argparse.Namespace) -> Iterator[Result]:
    dataset = bundle_data(bundle)
    chosen = by_content(dataset.test)[: options.images]
    images, labels = dataset.test.images[chosen], dataset.test.labels[chosen]
    for scheme in (find_scheme("u8s8"), SAFE):
        content = quantized(bundle, dataset, Plan(scheme=scheme))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            path.write_bytes(content)
            located = replace(
                bundle.locate("fp32"), name="int8", precision="int8", files=(str(path),)
            )
            yield compare(bundle, located, scheme.name, images, labels, options.cpu)


def quantized(bundle: Bundle, dataset: Dataset, plan: Plan) -> bytes:
    contract = bundle.manifest.contract
    images = dataset.train.images[by_content(dataset.train)[:CALIBRATION_IMAGES]]
    core = float_core(from_bytes(bundle.locate("fp32").path.read_bytes(), where="fp32"))
    return to_bytes(
        put_preprocessing_in_front(quantize_core(core, contract, images, plan), contract)
    )


def compare(
    bundle: Bundle,
    located: Variant,
    scheme: str,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    cpu: str,
) -> Result:
    contract = bundle.manifest.contract
    began = time.monotonic()
    player = Player(located.path.read_bytes())
    replays = [player.play(contract, images, saturating=each) for each in (False, True)]
    replayed = time.monotonic()
    there = outputs_as(emulator_for(cpu), contract, located, images)
    emulated = time.monotonic()
    name = scores_output(contract, list(there))
    exact, predicted, answered = (*(each.outputs[name] for each in replays), there[name])
    here = player.run_here(located.path.read_bytes(), contract, images)[name]
    right, likeliest = exact.argmax(axis=1), answered.argmax(axis=1)
    counts = replays[1].counts
    return Result(
        net=bundle.manifest.name,
        scheme=scheme,
        images=len(images),
        pairs=sum(each.pairs for each in counts.values()),
        saturated=sum(each.saturated for each in counts.values()),
        layers=[{"layer": layer, **asdict(each)} for layer, each in counts.items()],
        exact_here=len(images) - differing(exact, here),
        predicted_changed=differing(exact, predicted),
        answered_changed=differing(exact, answered),
        predicted_flips=np.flatnonzero(right != predicted.argmax(axis=1)).tolist(),
        answered_flips=np.flatnonzero(right != likeliest).tolist(),
        equal_bits=len(images) - differing(predicted, answered),
        correct_exact=int((right == labels).sum()),
        correct_answered=int((likeliest == labels).sum()),
        replay_seconds=replayed - began,
        emulated_seconds=emulated - replayed,
        sha256={
            "exact": sha256(exact.tobytes()),
            "predicted": sha256(predicted.tobytes()),
            "answered": sha256(answered.tobytes()),
        },
    )


def differing(first: NDArray[Any], second: NDArray[Any]) -> int:
    return int((first != second).any(axis=1).sum())


def markdown(found: list[Result], cpu: str) -> Iterator[str]:
    yield (
        f"| net | weights | saturated pairs | changed answers, predicted / {cpu} | flips, "
        f"predicted / {cpu} | equal bits | accuracy here / {cpu} |"
    )
    yield "|---|---|---|---|---|---|---|"
    for each in found:
        count, right = each.images, (each.correct_exact, each.correct_answered)
        yield (
            f"| {each.net} | {each.scheme} | {each.saturated:,} of {each.pairs:,} | "
            f"{each.predicted_changed} / {each.answered_changed} | "
            f"{len(each.predicted_flips)} / {len(each.answered_flips)} | "
            f"{each.equal_bits} of {count} | "
            f"{' / '.join(f'{100 * correct / count:.1f} %' for correct in right)} |"
        )


if __name__ == "__main__":
    main()
