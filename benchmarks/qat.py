"""What quantization-aware training wins back of what rounding afterwards costs a depthwise net.

    edgecnn import --model mobilenet-tiny --data cifar10 --mean 0.4914,0.4822,0.4465 \
        --std 0.2470,0.2435,0.2616 --output runs/mobilenet-tiny
    edgecnn export runs/mobilenet-tiny
    python benchmarks/qat.py runs/mobilenet-tiny --json qat.json

Three ways to make the weights integers of 7 bits: ONNX Runtime's own quantizer with one scale for a
whole tensor of weights, as some accelerators ask for, and with one for each channel, and edgecnn's
plan. Each is measured on the test split before and after fine-tuning, beside fp32, with Tango's
95 % interval of the paired loss.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from onnxruntime import quantization as ort
from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import TensorsData, save_tensors_data

from edgecnn.bundle import open_bundle
from edgecnn.bundle_data import bundle_data
from edgecnn.data import Dataset
from edgecnn.evaluation import compare_answers
from edgecnn.graph.clean import from_bytes, to_bytes
from edgecnn.machine import this_machine
from edgecnn.quantization.calibration import take_ranges
from edgecnn.quantization.calibration.draws import draw
from edgecnn.quantization.making import Subject, make_int8, observe_subject
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.running import run_core
from edgecnn.quantization.writing import read_core
from edgecnn.recipe import TrainingPlan
from edgecnn.training.qat.tuning import Start, Tuned, tune
from edgecnn.training.repeatable import repeatable
from edgecnn.training.run import pictures, split_holdout

CPU = torch.device("cpu")


def main() -> None:
    options = _options()
    bundle = open_bundle(options.bundle)
    dataset = bundle_data(bundle)
    images = dataset.train.take(draw(dataset, None, 0).calibration).images
    core, plan = read_core(bundle.locate("fp32")), Plan()
    subject = observe_subject(core, bundle.manifest.contract, images, plan)
    training = TrainingPlan(
        epochs=options.epochs,
        optimizer="adamw",
        learning_rate=1e-3,
        warmup_fraction=0.1,
        flip=True,
        shift=2,
        channels_last=True,
    )
    fp32, rows = _answers(core, subject, dataset), []
    for name, quantized in _ways(subject, plan):
        if options.only in name:
            tuned = _tune(quantized, subject, dataset, training, options.images)
            rows.append(_row(name, quantized, tuned, fp32, subject, dataset))
            print(json.dumps(rows[-1]), flush=True)
    content = {"machine": asdict(this_machine()), "training": asdict(training), "rows": rows}
    options.json.write_text(json.dumps(content, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--images", type=int, help="Train on so many images only, for a try.")
    parser.add_argument("--only", default="", help="Only ways whose name holds this.")
    parser.add_argument("--json", type=Path, default=Path("qat.json"))
    return parser.parse_args()


def _ways(subject: Subject, plan: Plan) -> Iterator[tuple[str, ir.Model]]:
    for per_channel in (False, True):
        name = "per channel" if per_channel else "per tensor"
        yield f"ONNX Runtime, minmax, {name}", _plain(subject, per_channel=per_channel)
    yield f"edgecnn, {plan.calibration}, per channel", make_int8(subject, plan)


def _plain(subject: Subject, *, per_channel: bool) -> ir.Model:
    ranges = take_ranges(subject.observed, "minmax")
    ends = {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()}
    with tempfile.TemporaryDirectory() as folder:
        known, path = Path(folder) / "ranges.json", Path(folder) / "int8.onnx"
        save_tensors_data(TensorsData(CalibrationMethod.MinMax, ends), known)
        ort.quantize_static(
            onnx.load_model_from_string(to_bytes(subject.core)),
            path,
            calibration_data_reader=None,
            quant_format=ort.QuantFormat.QDQ,
            activation_type=ort.QuantType.QUInt8,
            weight_type=ort.QuantType.QInt8,
            calibration_cache_path=known,
            calibrate_method=CalibrationMethod.MinMax,
            per_channel=per_channel,
            reduce_range=True,
        )
        return from_bytes(path.read_bytes(), where=str(path))


def _tune(
    quantized: ir.Model,
    subject: Subject,
    dataset: Dataset,
    plan: TrainingPlan,
    count: int | None,
) -> Tuned:
    train, holdout = split_holdout(dataset.train, plan.holdout)
    train = train.take(np.arange(count)) if count else train
    start = Start(quantized, subject.core, subject.contract, bounded=True)
    with repeatable(plan.threads, CPU):
        return tune(start, pictures(train, CPU), pictures(holdout, CPU), plan, CPU, lambda _: None)


def _row(
    name: str,
    quantized: ir.Model,
    tuned: Tuned,
    fp32: NDArray[np.int64],
    subject: Subject,
    dataset: Dataset,
) -> dict[str, Any]:
    labels = dataset.test.labels
    found: dict[str, Any] = {"way": name, "fp32": float((fp32 == labels).mean())}
    for when, core in (("before", quantized), ("after", tuned.core)):
        answers = _answers(core, subject, dataset)
        paired = compare_answers("fp32", when, fp32, answers, labels)
        found[when] = asdict(paired) | {"accuracy": float((answers == labels).mean())}
    return found | {"epoch": tuned.chosen, "cpu_seconds": tuned.cpu_seconds}


def _answers(core: ir.Model, subject: Subject, dataset: Dataset) -> NDArray[np.int64]:
    outputs = run_core(core, subject.contract, dataset.test.images)
    answers: NDArray[np.int64] = next(iter(outputs.values())).argmax(axis=1)
    return answers


if __name__ == "__main__":
    main()
