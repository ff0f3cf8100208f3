"""Does `edgecnn bench` measure what a bare loop of `session.run` measures?

Two bare loops with nothing of edgecnn in them and two of edgecnn's workers, each in a fresh
process, take turns there and back on one file: a net of LeNet's size and one of resnet8's, with
random weights. Prints a table in Markdown; the raw times go to results/.

    python benchmarks/overhead.py [REPLICATES [BLOCKS]]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edgecnn.benchmark.estimate import compare, contrast
from edgecnn.benchmark.samples import Block, Leg, Samples, SessionRecord, Warmup
from edgecnn.records import to_builtins
from edgecnn.reports import make_report
from edgecnn.runtime import plain_file
from edgecnn.worker import Worker

RESULTS = Path(__file__).parent / "results" / "overhead.json"
LEG_SECONDS = 0.03
LIMIT = 0.03
BARE = """
import json, os, sys, time
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np, onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
feed = {"input": np.load(sys.argv[2])}
for line in sys.stdin:
    times, end = [], time.perf_counter() + float(line)
    while time.perf_counter() < end:
        start = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - start)
    print(json.dumps([round(time * 1e9) for time in times]), flush=True)
"""

Turn = Callable[[], list[int]]
LANES = ("bare", "worker", "worker", "bare")


def main() -> None:
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    blocks = int(sys.argv[2]) if len(sys.argv) > 2 else 6
    results = {}
    rows = ["| net | bare loop, µs | edgecnn's worker, µs | ratio | 95 % interval | noise floor |"]
    rows += ["|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.npy"
        np.save(image, np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32))
        for name, make in (("lenet", lenet), ("resnet8", resnet8)):
            file = Path(folder) / f"{name}.onnx"
            file.write_bytes(make())
            measured = [b for n in range(replicates) for b in replicate(n, file, image, blocks)]
            results[name], row = summary(name, Samples(sessions(replicates), tuple(measured)))
            rows.append(row)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(to_builtins(make_report("overhead", results, {}))) + "\n")
    print("\n".join(rows))


def sessions(replicates: int) -> tuple[SessionRecord, ...]:
    unknown = Warmup(0, None)
    return tuple(
        SessionRecord(lane, n, 0, 0, 0, 0, unknown) for n in range(replicates) for lane in LANES
    )


def replicate(number: int, file: Path, image: Path, blocks: int) -> list[Block]:
    with ExitStack() as stack:
        make = {"bare": bare_turn, "worker": worker_turn}
        turns = [make[lane](stack, file, image) for lane in LANES]
        for turn in turns:
            warm(turn)
        lanes = [(len(LANES) * number + n, turn) for n, turn in enumerate(turns)]
        return [block(number, [*lanes[n % 4 :], *lanes[: n % 4]]) for n in range(blocks)]


def block(number: int, lanes: list[tuple[int, Turn]]) -> Block:
    order = (*lanes, *reversed(lanes))
    return Block(number, tuple(Leg(n, 0.0, turn(), 0, 0, idle=True) for n, turn in order))


def bare_turn(stack: ExitStack, file: Path, image: Path) -> Turn:
    process = stack.enter_context(bare_loop(file, image))
    return lambda: times_of(process)


def worker_turn(stack: ExitStack, file: Path, image: Path) -> Turn:
    worker = stack.enter_context(Worker())
    worker.open(plain_file(str(file)), threads=1)
    worker.feed([{"input": np.load(image)}])
    return lambda: worker.run_for(LEG_SECONDS).times_ns


def bare_loop(file: Path, image: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BARE, str(file), str(image)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def times_of(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdin is not None
    assert process.stdout is not None
    print(LEG_SECONDS, file=process.stdin, flush=True)
    times: list[int] = json.loads(process.stdout.readline())
    return times


def warm(turn: Turn) -> None:
    for _ in range(10):
        turn()


def summary(name: str, samples: Samples) -> tuple[Any, str]:
    bare, ours = (median(samples.times_ns(lane)) / 1e9 for lane in ("bare", "worker"))
    found = compare("bare", "worker", (bare, ours), contrast(samples, "bare", "worker"))
    row = (
        f"| {name} | {1e6 * bare:.2f} | {1e6 * ours:.2f} | {found.ratio:.4f} "
        f"| {found.low:.3f} to {found.high:.3f} | {100 * found.noise_floor:.1f} % |"
    )
    agrees = abs(found.ratio - 1) <= LIMIT
    comparison, raw = to_builtins(found), to_builtins(samples)
    return {"agrees": agrees, "comparison": comparison, "samples": raw}, row


class Graph:
    """Writes a net of random weights, layer by layer."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.random = np.random.default_rng(0)

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def weight(self, *shape: int) -> str:
        from onnx import numpy_helper

        name = f"w{len(self.constants)}"
        values = self.random.normal(0, 0.1, shape).astype(np.float32)
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def conv(self, x: str, c_in: int, c_out: int, k: int, *, stride: int = 1, pad: int = 0) -> str:
        w, b = self.weight(c_out, c_in, k, k), self.weight(c_out)
        return self.add("Conv", x, w, b, strides=[stride] * 2, pads=[pad] * 4)

    def fc(self, x: str, n_in: int, n_out: int) -> str:
        return self.add("Gemm", x, self.weight(n_out, n_in), self.weight(n_out), transB=1)

    def model(self, output: str) -> bytes:
        from onnx import TensorProto, helper

        value = helper.make_tensor_value_info
        inputs = [value("input", TensorProto.FLOAT, ["N", 3, 32, 32])]
        outputs = [value(output, TensorProto.FLOAT, ["N", 10])]
        graph = helper.make_graph(self.nodes, "net", inputs, outputs, self.constants)
        opset = helper.make_opsetid("", 18)
        content: bytes = helper.make_model(
            graph, opset_imports=[opset], ir_version=8
        ).SerializeToString()
        return content


def lenet() -> bytes:
    graph, x = Graph(), "input"
    for c_in, c_out in ((3, 6), (6, 16)):
        x = graph.add("Relu", graph.conv(x, c_in, c_out, 5))
        x = graph.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = graph.add("Flatten", x)
    for n_in, n_out in ((400, 120), (120, 84)):
        x = graph.add("Relu", graph.fc(x, n_in, n_out))
    return graph.model(graph.fc(x, 84, 10))


def resnet8() -> bytes:
    graph = Graph()
    x = graph.add("Relu", graph.conv("input", 3, 16, 3, pad=1))
    for c_in, c_out in ((16, 16), (16, 32), (32, 64)):
        stride = c_out // c_in
        y = graph.add("Relu", graph.conv(x, c_in, c_out, 3, stride=stride, pad=1))
        y = graph.conv(y, c_out, c_out, 3, pad=1)
        shortcut = x if stride == 1 else graph.conv(x, c_in, c_out, 1, stride=stride)
        x = graph.add("Relu", graph.add("Add", y, shortcut))
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    return graph.model(graph.fc(x, 64, 10))


if __name__ == "__main__":
    main()
