"""Run an int8 file on OpenVINO in turns with ONNX Runtime's fp32, for quantization.py.

    python with_openvino.py FP32.onnx INT8.onnx IMAGES.npy ANSWERS.npy SECONDS THREADS

Run by a Python that has openvino and onnxruntime. Answers go to ANSWERS.npy, the seconds of a call
in each block to stdout.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import openvino

Run = Callable[[Any], Any]


def main(fp32: str, int8: str, images: str, answers: str, seconds: str, threads: str) -> None:
    pixels = np.load(images)
    lanes = {
        "ort": on_onnxruntime(fp32, int(threads)),
        "fp32": on_openvino(fp32, pixels.shape[1:], int(threads)),
        "int8": on_openvino(int8, pixels.shape[1:], int(threads)),
    }
    singles = [pixels[place : place + 1] for place in range(len(pixels))]
    np.save(answers, np.concatenate([lanes["int8"](one).copy() for one in singles]))
    blocks = measure(lanes, singles[0], float(seconds))
    print(json.dumps({"blocks": blocks, "openvino": openvino.__version__}))


def on_onnxruntime(path: str, threads: int) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: session.run(None, {name: image})[0]


def on_openvino(path: str, shape: tuple[int, ...], threads: int) -> Run:
    core = openvino.Core()
    # By default fp32 would be computed in bfloat16 where the CPU has AMX.
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    model = core.read_model(path)
    model.reshape([1, *shape])
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda image: request.infer({0: image})[0]


def measure(lanes: dict[str, Run], image: Any, seconds: float) -> list[dict[str, float]]:
    """Time blocks of some 20 ms, every second round in the opposite order."""
    counts = {name: max(1, int(0.02 / block(run, image, 20))) for name, run in lanes.items()}
    found: list[dict[str, float]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        order = list(lanes)[:: 1 if len(found) % 2 == 0 else -1]
        found.append({name: block(lanes[name], image, counts[name]) for name in order})
    return found


def block(run: Run, image: Any, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        run(image)
    return (time.perf_counter() - start) / count


if __name__ == "__main__":
    main(*sys.argv[1:])
