"""Whose int8 is best: ONNX Runtime's own, NNCF's, or edgecnn's?

Each bundle's fp32 core is quantized three times on the same calibration pictures: by
`onnxruntime.quantization.quantize_static` with its defaults, by NNCF's post-training quantization
with its defaults, and by `edgecnn quantize`. All get the same preprocessing in front, so that all
take the same uint8 pixels. Accuracy, flips and SQNR are on the same test pictures, in ONNX Runtime;
latency is measured in one interleaved run of all files. NNCF's file runs on OpenVINO as well, which
takes turns with ONNX Runtime's fp32 in one process.

    python benchmarks/quantization.py runs/lenet runs/resnet8 --nncf-python nncf/bin/python

NNCF and OpenVINO are not edgecnn's: `python -m venv nncf && nncf/bin/pip install nncf openvino
onnxruntime onnx`. Without --nncf-python their rows are left out. Prints a table in Markdown; the
figures go to results/.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

import edgecnn
from edgecnn.agreement import sqnr_db
from edgecnn.benchmark import BenchReport, bench
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.bundle_data import bundle_data
from edgecnn.disk import write_atomically
from edgecnn.evaluation import PairedAccuracy, compare_answers
from edgecnn.extras import quietly
from edgecnn.graph.clean import clean, from_bytes, to_bytes
from edgecnn.graph.prefix import put_preprocessing_in_front
from edgecnn.machine import Machine, this_machine
from edgecnn.predictor import Predictor, normalise
from edgecnn.quantization import QuantizeReport
from edgecnn.quantization.calibration.draws import draw
from edgecnn.quantization.writing import read_core
from edgecnn.records import to_builtins, to_json
from edgecnn.runtime import open_session
from edgecnn.spec import Variant
from edgecnn.stats import Interval, wilson

RESULTS = Path(__file__).parent / "results"
NNCF, OPENVINO = "NNCF", "NNCF on OpenVINO"

# Run by the interpreter that has the others' packages.
QUANTIZE_WITH_NNCF, RUN_ON_OPENVINO = (
    Path(__file__).parent / name for name in ("with_nncf.py", "with_openvino.py")
)


@dataclass(frozen=True)
class Row:
    """One int8 file of one net, against fp32.

    Attributes:
        net: The bundle's name.
        made_by: Who quantized it, and where it ran if not in ONNX Runtime.
        accuracy: On the test pictures, 0 to 1, with Wilson's interval.
        paired: Against fp32 on the same pictures, with Tango's interval; None of fp32.
        sqnr_db: Of the first output against fp32's; None of fp32.
        ratio: Time over that of fp32 in ONNX Runtime; None of fp32.
        low: Lower end of its 95 % interval.
        high: Upper end; None where too few blocks were measured.
        noise_floor: Of the comparison.
        median_seconds: Of one call.
        size: Bytes of the file.
    """

    net: str
    made_by: str
    accuracy: Interval
    paired: PairedAccuracy | None
    sqnr_db: float | None
    ratio: float | None
    low: float | None
    high: float | None
    noise_floor: float | None
    median_seconds: float
    size: int


@dataclass(frozen=True)
class Result:
    """Everything that was found, and on what."""

    created: str
    machine: Machine
    versions: dict[str, str]
    threads: int
    calibration_images: int
    test_images: dict[str, int]
    rows: tuple[Row, ...]
    verdicts: dict[str, str]
    bench: dict[str, Any]
    openvino: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Net:
    """A net whose fp32 and int8 files lie side by side in a folder."""

    bundle: Bundle
    folder: Path
    test: NDArray[np.uint8]
    labels: NDArray[np.int64]
    calibration: NDArray[np.uint8]

    @property
    def name(self) -> str:
        return self.bundle.folder.name


def main() -> None:
    options, now = parse_options(), datetime.now(timezone.utc)
    rows: list[Row] = []
    verdicts, raw, turns, counts = {}, {}, {}, {}
    versions = {name: __import__(name).__version__ for name in ("onnxruntime", "onnx")}
    with tempfile.TemporaryDirectory() as scratch:
        for folder in options.bundles:
            net = prepare(folder, Path(scratch), options)
            report = ours(net, options)
            files = {"fp32": net.folder / "fp32.onnx", "edgecnn": net.folder / "int8.onnx"}
            files |= dict(others(net, options))
            answers = {who: answer(net, path, options) for who, path in files.items()}
            timed = measure(files, options)
            own = list(table(net, files, answers, timed))
            if NNCF in files:
                row, turns[net.name] = on_openvino(net, files, answers["fp32"], options)
                versions["openvino"] = turns[net.name].pop("openvino")
                own.append(row)
            rows += own
            verdicts[net.name] = " ".join(report.verdict.reasons)
            raw[net.name], counts[net.name] = to_builtins(timed)["comparisons"], len(net.test)
            print(markdown(own), flush=True)
            print(f"\n{net.name}: {verdicts[net.name]}\n", flush=True)
            keep(
                Result(
                    now.isoformat(timespec="seconds"),
                    this_machine(),
                    versions,
                    options.threads,
                    options.calibration_samples,
                    counts,
                    tuple(rows),
                    verdicts,
                    raw,
                    turns,
                ),
                options.results / f"quantization-{now:%Y-%m-%d}.json",
            )
    print(markdown(rows))


def keep(result: Result, path: Path) -> None:
    """Write what was found so far: a later net may take long, or fail."""
    write_atomically(path, to_json(result))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", type=Path, nargs="+", help="bundles with an fp32 variant")
    parser.add_argument("--nncf-python", type=Path, help="a Python that has nncf and openvino")
    parser.add_argument("--calibration-samples", type=int, default=512)
    parser.add_argument("--test-samples", type=int, help="test pictures; all by default")
    parser.add_argument("--seconds", type=float, default=12, help="of measuring latency, each net")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the JSON goes")
    return parser.parse_args()


def prepare(folder: Path, scratch: Path, options: argparse.Namespace) -> Net:
    """Copy a bundle, and draw the pictures that all quantizers are given."""
    target = scratch / folder.name
    shutil.copytree(folder, target)
    bundle = open_bundle(target)
    data = bundle_data(bundle)
    drawn = draw(data, options.calibration_samples)
    test = data.test.take(np.arange(min(len(data.test), options.test_samples or len(data.test))))
    calibration = data.train.take(drawn.calibration).images
    return Net(bundle, target, test.images, test.labels, calibration)


def ours(net: Net, options: argparse.Namespace) -> QuantizeReport:
    """Do what `edgecnn quantize` does."""
    return edgecnn.quantize(
        net.bundle, calibration_samples=options.calibration_samples, threads=options.threads
    )


def others(net: Net, options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Quantize the same core with the others' tools, and put the same preprocessing in front."""
    core = read_core(net.bundle.locate("fp32"))
    images = normalise(net.bundle.manifest.contract, net.calibration)
    name = str(core.graph.inputs[0].name)
    yield "ONNX Runtime", with_pixels(net, "ort", quantize_with_ort(core, name, images))
    if options.nncf_python:
        yield NNCF, with_pixels(net, "nncf", quantize_with_nncf(core, name, images, options))


def quantize_with_ort(core: ir.Model, name: str, images: NDArray[np.float32]) -> bytes:
    import onnx
    from onnxruntime import quantization as ort

    class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.images = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self.images, None)
            return None if image is None else {name: image[None]}

    with tempfile.TemporaryDirectory() as folder, quietly():
        before, after = Path(folder) / "core.onnx", Path(folder) / "int8.onnx"
        onnx.save(onnx.load_model_from_string(to_bytes(core)), before)
        ort.quantize_static(before, after, Reader())
        return after.read_bytes()


def quantize_with_nncf(
    core: ir.Model, name: str, images: NDArray[np.float32], options: argparse.Namespace
) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        before, given, after = (Path(folder) / file for file in ("core.onnx", "in.npy", "out.onnx"))
        before.write_bytes(to_bytes(core))
        np.save(given, images)
        command = [options.nncf_python, QUANTIZE_WITH_NNCF, before, given, name, after]
        subprocess.run(command, check=True, capture_output=True)
        return after.read_bytes()


def with_pixels(net: Net, name: str, content: bytes) -> Path:
    model = clean(from_bytes(content, where=name))
    path = net.folder / f"{name}.onnx"
    path.write_bytes(to_bytes(put_preprocessing_in_front(model, net.bundle.manifest.contract)))
    return path


def answer(net: Net, path: Path, options: argparse.Namespace) -> NDArray[np.float32]:
    """Give a file's scores for the test pictures, with the options that are deployed."""
    variant = replace(net.bundle.locate("fp32"), name=path.stem, files=(str(path),))
    return scores(net, variant, options)


def scores(net: Net, variant: Variant, options: argparse.Namespace) -> NDArray[np.float32]:
    with open_session(variant, provider="cpu", threads=options.threads) as session:
        found: NDArray[np.float32] = Predictor(net.bundle.manifest.contract, variant, session).run(
            net.test
        )
        return found


def measure(files: dict[str, Path], options: argparse.Namespace) -> BenchReport:
    """Time all files in one interleaved run, fp32 first."""
    return bench(
        list(files.values()),
        threads=options.threads,
        pin=True,
        duration=options.seconds * len(files),
        cold_start=False,
    )


def table(
    net: Net, files: dict[str, Path], answers: dict[str, NDArray[np.float32]], timed: BenchReport
) -> Iterator[Row]:
    compared = {each.second: each for each in timed.comparisons}
    medians = {each.variant: each.median_seconds for each in timed.variants}
    for who, path in files.items():
        found = compared.get(path.name) if who != "fp32" else None
        yield Row(
            net=net.name,
            made_by=who,
            **against(net, who, answers["fp32"], answers[who]),
            ratio=found.ratio if found else None,
            low=found.low if found else None,
            high=found.high if found else None,
            noise_floor=found.noise_floor if found else None,
            median_seconds=medians[path.name],
            size=path.stat().st_size,
        )


def against(
    net: Net, who: str, fp32: NDArray[np.float32], found: NDArray[np.float32]
) -> dict[str, Any]:
    labels = found.argmax(axis=1).astype(np.int64)
    accuracy = wilson(int((labels == net.labels).sum()), len(labels))
    if who == "fp32":
        return {"accuracy": accuracy, "paired": None, "sqnr_db": None}
    reference = fp32.argmax(axis=1).astype(np.int64)
    paired = compare_answers("fp32", who, reference, labels, net.labels)
    return {"accuracy": accuracy, "paired": paired, "sqnr_db": sqnr_db(found, fp32)}


def on_openvino(
    net: Net, files: dict[str, Path], fp32: NDArray[np.float32], options: argparse.Namespace
) -> tuple[Row, dict[str, Any]]:
    """Run NNCF's file on OpenVINO, in turns with ONNX Runtime's fp32 in the same process."""
    images, found = net.folder / "test.npy", net.folder / "openvino.npy"
    np.save(images, net.test)
    arguments = [files["fp32"], files[NNCF], images, found, options.seconds, options.threads]
    command = [options.nncf_python, RUN_ON_OPENVINO, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    said = json.loads(done.stdout.splitlines()[-1])
    ratios = np.array([block["int8"] / block["ort"] for block in said["blocks"]])
    low, middle, high = np.quantile(ratios, [0.025, 0.5, 0.975])
    row = Row(
        net=net.name,
        made_by=OPENVINO,
        **against(net, OPENVINO, fp32, np.load(found)),
        ratio=float(middle),
        low=float(low),
        high=float(high),
        noise_floor=None,
        median_seconds=float(np.median([block["int8"] for block in said["blocks"]])),
        size=files[NNCF].stat().st_size,
    )
    return row, said


def markdown(rows: list[Row]) -> str:
    head = (
        "| net | int8 by | accuracy | loss in points | other answers | SQNR | time / fp32 | "
        "noise floor | size |\n|---|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *map(line, rows)])


def line(row: Row) -> str:
    accuracy = row.accuracy
    shown = f"{100 * accuracy.estimate:.2f} % [{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}]"
    cells = [row.net, row.made_by, shown]
    if row.paired is None:
        return "| " + " | ".join([*cells, "", "", "", "1", "", f"{row.size / 1e3:.0f} kB"]) + " |"
    drop = row.paired.drop
    cells.append(f"{100 * drop.estimate:.2f} [{100 * drop.low:.2f}, {100 * drop.high:.2f}]")
    cells.append(f"{100 * (1 - row.paired.same):.2f} %")
    cells.append(f"{row.sqnr_db:.1f} dB")
    high = "?" if row.high is None else f"{row.high:.2f}"
    cells.append(f"{row.ratio:.2f} [{row.low:.2f}, {high}]")
    cells.append("" if row.noise_floor is None else f"{100 * row.noise_floor:.1f} %")
    return "| " + " | ".join([*cells, f"{row.size / 1e3:.0f} kB"]) + " |"


if __name__ == "__main__":
    main()
