"""ONNX Runtime as anybody calls it: a loop of `InferenceSession.run` with nothing of edgecnn in it.

Its process imports neither edgecnn nor an adapter: it makes a session with ONNX Runtime's own
defaults but for the number of threads, and calls it. `BareWorker` is its handle, which the engine
takes for any other worker, so that it takes turns with them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.errors import RuntimeCrashed
from edgecnn.spec import TensorSpec, Variant
from edgecnn.worker import LIMIT_SECONDS, Opened, Timed, Usage, Worker

SCRIPT = """
import json, os, sys, time
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it would write files
if sys.argv[1]:
    os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
print(json.dumps({}), flush=True)

path, threads = json.loads(sys.stdin.readline())
began = time.perf_counter()
import onnxruntime
imported = time.perf_counter()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
loaded = time.perf_counter()
tensors = [
    [(each.name, each.type, each.shape) for each in given]
    for given in (session.get_inputs(), session.get_outputs())
]
took = [imported - began, loaded - imported]
print(json.dumps([*took, onnxruntime.__version__, *tensors]), flush=True)

import numpy
arrays = numpy.load(sys.stdin.readline().strip())
names, batches = [name for name, _, _ in tensors[1]], {}
for key in arrays.files:
    number, _, name = key.partition(".")
    batches.setdefault(int(number), {})[name] = arrays[key]
feeds = [batches[number] for number in sorted(batches)]
turn = 0
print(json.dumps({}), flush=True)

for line in sys.stdin:
    seconds, least, lead, settle = json.loads(line)
    times, cpu, after = [], 0, 0
    for length, calls in ((lead, 1 if lead else 0), (seconds, least)):
        times, end, cpu = [], time.perf_counter() + length, time.process_time_ns()
        while len(times) < calls or (length and time.perf_counter() < end):
            feed = feeds[turn % len(feeds)]
            turn += 1
            start = time.perf_counter_ns()
            session.run(names, feed)
            times.append(time.perf_counter_ns() - start)
        after = time.process_time_ns()
    calm, deadline = 0, time.perf_counter() + 1
    while settle and calm < 2 and time.perf_counter() < deadline:
        used = time.process_time()
        time.sleep(0.003)
        calm = calm + 1 if time.process_time() - used < 0.0003 else 0
    status = open("/proc/self/status").read() if os.path.exists("/proc/self/status") else ""
    kilobytes = {row.split(":")[0]: row.split()[1] for row in status.splitlines() if "kB" in row}
    used = [1024 * int(kilobytes.get(key, 0)) for key in ("VmRSS", "VmHWM")]
    spent = time.process_time_ns()
    found = [times, calm == 2, after - cpu, spent - after, [*used, spent / 1e9]]
    print(json.dumps(found), flush=True)
"""
_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


class BareWorker(Worker):
    """A process that runs the loop above, with the face of a worker.

    Args:
        limit: There is none; it is here because workers have one.
        memory_limit: As above.
        cores: CPUs that it may use.
    """

    def __init__(
        self,
        limit: float = LIMIT_SECONDS,
        memory_limit: int | None = None,
        cores: Collection[int] | None = None,
    ) -> None:
        began = time.perf_counter()
        words = [sys.executable, "-c", SCRIPT, ",".join(map(str, cores or ()))]
        pipe = subprocess.PIPE
        self._loop = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
        self._folder = tempfile.TemporaryDirectory()
        self._usage = Usage(0, 0, 0.0)
        self._answer()
        self.start_seconds = time.perf_counter() - began

    @property
    def pid(self) -> int:
        return self._loop.pid

    def open(self, variant: Variant, *, threads: int | None = None, **_: Any) -> Opened:
        count = threads or 1
        imported, loaded, version, inputs, outputs = self._ask([variant.files[0], count])
        specs = [
            tuple(TensorSpec(n, _DTYPES[kind], tuple(shape)) for n, kind, shape in given)
            for given in (inputs, outputs)
        ]
        versions = {"onnxruntime": version}
        return Opened("bare", "cpu", count, *specs, versions, imported, loaded)

    def feed(self, batches: Sequence[Mapping[str, Any]]) -> float:
        path = Path(self._folder.name) / "batches.npz"
        arrays = {f"{n}.{name}": a for n, batch in enumerate(batches) for name, a in batch.items()}
        np.savez(path, **arrays)
        self._say(str(path))
        self._answer()
        return 0.0

    def run_for(
        self,
        seconds: float,
        *,
        at_least: int = 1,
        lead_seconds: float = 0.0,
        settle: bool = True,
    ) -> Timed:
        times, idle, cpu, after, usage = self._ask([seconds, at_least, lead_seconds, settle])
        self._usage = Usage(*usage)
        return Timed(times, idle, cpu, after)

    def run_checked(self, calls: int) -> tuple[list[int], list[int]]:
        times = self.run(calls).times_ns
        return times, times  # it checks nothing

    def usage(self) -> Usage:
        return self._usage

    def close(self) -> None:
        assert self._loop.stdin is not None
        self._loop.stdin.close()
        self._loop.wait()
        self._folder.cleanup()

    def _ask(self, request: Any) -> Any:
        self._say(json.dumps(request))
        return self._answer()

    def _say(self, text: str) -> None:
        assert self._loop.stdin is not None
        print(text, file=self._loop.stdin, flush=True)

    def _answer(self) -> Any:
        assert self._loop.stdout is not None
        line = self._loop.stdout.readline()
        if not line:
            raise RuntimeCrashed("The bare loop ended.", "Look at what it wrote on stderr.")
        return json.loads(line)
