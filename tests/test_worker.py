"""The worker: what it answers, and that this process survives whatever happens in it."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import InputError, ModelError, RuntimeCrashed, UnavailableError
from edgecnn.spec import Variant
from edgecnn.worker import Opened, Worker, open_in_worker

TROUBLED = str(Path(__file__).parent / "runtimes" / "troubled")
NET = Variant("net", "fp32", "onnx", ("nowhere.onnx",))
BATCH = {"pixels": np.ones((1, 8, 8, 3), np.uint8)}


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as opened:
        yield opened


def test_it_opens_runs_and_times(worker: Worker) -> None:
    opened = worker.open(NET, runtime=TROUBLED, threads=3)
    assert (opened.runtime, opened.provider, opened.threads) == ("troubled", "cpu", 3)
    assert [spec.name for spec in opened.inputs] == ["pixels"]
    assert opened.versions == {"t": "1"}
    assert min(worker.start_seconds, opened.import_seconds, opened.load_seconds) > 0
    worker.feed([BATCH, BATCH])
    assert len(worker.run(5).times_ns) == 5
    assert worker.outputs(BATCH)["sum"].tolist() == [8 * 8 * 3]


def test_time_is_counted_call_by_call(worker: Worker) -> None:
    worker.open(NET, runtime=TROUBLED, options={"delay": "0.01"})
    worker.feed([BATCH])
    timed = worker.run_for(0.05, at_least=2, lead_seconds=0.01)
    assert 2 <= len(timed.times_ns) <= 5
    assert min(timed.times_ns) >= 10_000_000
    assert len(worker.run_for(0.0, at_least=7).times_ns) == 7


def test_checked_and_bare_calls_are_timed_in_turn(worker: Worker) -> None:
    worker.open(NET, runtime=TROUBLED)
    worker.feed([BATCH])
    checked, bare = worker.run_checked(20)
    assert len(checked) == len(bare) == 20


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give a module of tasks that a worker can import too."""
    (tmp_path / "some_tasks.py").write_text(
        "import os, time\n"
        "def name(held): return held.variant.name, len(held.batches), os.getpid()\n"
        "def call(held): return next(held.calls)()\n"
        "def sleep(held, seconds): time.sleep(seconds); return seconds\n"
        "def fail(held): return held.nothing\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("some_tasks")
    del sys.modules["some_tasks"]


def test_a_task_is_carried_out_there(tasks: Any, worker: Worker) -> None:
    worker.open(NET, runtime=TROUBLED)
    worker.feed([BATCH, BATCH])
    assert worker.carry_out(tasks.name) == ("net", 2, worker.pid)
    assert worker.carry_out(tasks.call)["sum"].tolist() == [8 * 8 * 3]


def test_a_task_goes_on_while_another_is_begun(tasks: Any) -> None:
    with Worker() as one, Worker() as other:
        for each in (one, other):
            each.open(NET, runtime=TROUBLED)
        one.begin(partial(tasks.sleep, seconds=0.3))
        assert other.carry_out(tasks.name)[2] == other.pid
        assert one.result(0.3) == 0.3


def test_what_fails_in_a_task_is_an_error_here(tasks: Any, worker: Worker) -> None:
    worker.open(NET, runtime=TROUBLED)
    with pytest.raises(RuntimeCrashed, match="AttributeError"):
        worker.carry_out(tasks.fail)
    assert worker.carry_out(tasks.name)[0] == "net"


def test_closing_does_not_wait_for_a_task(tasks: Any) -> None:
    worker = Worker()
    worker.open(NET, runtime=TROUBLED)
    worker.begin(partial(tasks.sleep, seconds=600))
    worker.close()
    assert _within(5, lambda: not _lives(worker.pid))


@pytest.mark.parametrize("when", ["open", "run"])
@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("segfault", r"crashed \(SIGSEGV\)\. Its last words: here it comes"),
        ("abort", r"crashed \(SIGABRT\)"),
        ("kill", r"SIGKILL, probably for want of memory"),
        ("exit", r"ended by itself with exit code 7"),
        ("memory", r"memory ran out"),
        ("raise", r"ValueError: no such kernel"),
    ],
)
def test_trouble_there_is_an_error_here(when: str, what: str, says: str) -> None:
    def go(worker: Worker) -> None:
        worker.open(NET, runtime=TROUBLED, options={"what": what, "when": when})
        worker.feed([BATCH])
        worker.run(1)

    with Worker() as worker, pytest.raises(RuntimeCrashed, match=says) as caught:
        go(worker)
    assert caught.value.remedy


def test_a_hang_ends_at_the_limit() -> None:
    with Worker(limit=1.0) as worker:
        worker.open(NET, runtime=TROUBLED, options={"what": "hang", "after": "2"})
        worker.feed([BATCH])
        worker.run(2)
        with pytest.raises(RuntimeCrashed, match=r"'net' hung: no answer within 1 s"):
            worker.run(1)
        assert not _lives(worker.pid)
        with pytest.raises(RuntimeCrashed, match="ended already"):
            worker.usage()


def test_an_error_stays_what_it_was(worker: Worker) -> None:
    with pytest.raises(UnavailableError) as caught:
        worker.open(NET, runtime=TROUBLED, options={"what": "refuse", "when": "open"})
    assert type(caught.value) is UnavailableError
    assert (caught.value.problem, caught.value.remedy) == ("No luck.", "Buy some.")
    assert [need.name for need in caught.value.requirements] == ["luck"]
    with pytest.raises(UnavailableError, match="No 'cuda' here"):
        worker.open(NET, runtime=TROUBLED, provider="cuda")
    with pytest.raises(InputError, match="no runtime 'nobody'"):
        worker.open(NET, runtime="nobody")
    assert worker.open(NET, runtime=TROUBLED).runtime == "troubled"


def test_bad_inputs_are_refused(worker: Worker) -> None:
    worker.open(NET, runtime=TROUBLED)
    with pytest.raises(InputError, match="float32"):
        worker.feed([{"pixels": np.ones((1, 8, 8, 3), np.float32)}])


def test_it_is_up_to_the_reader_whether_ctrl_c_ends_it(worker: Worker) -> None:
    worker.open(NET, runtime=TROUBLED)
    os.kill(worker.pid, signal.SIGINT)
    assert worker.usage().resident_bytes > 1_000_000


@pytest.mark.parametrize("busy", [False, True])
def test_it_ends_with_the_process_that_started_it(busy: bool) -> None:
    code = f"""
import sys, threading, time
from edgecnn.spec import Variant
from edgecnn.worker import Worker
import numpy as np
worker = Worker()
worker.open(Variant("net", "fp32", "onnx", ("x",)), runtime={TROUBLED!r}, options={{"delay": "9"}})
worker.feed([{{"pixels": np.ones((1, 8, 8, 3), np.uint8)}}])
if {busy}:
    threading.Thread(target=lambda: worker.run(1), daemon=True).start()
    time.sleep(0.2)
print(worker.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert _lives(pid)
        parent.kill()
    assert _within(5.0, lambda: not _lives(pid))


def test_closing_ends_it_and_may_be_done_twice() -> None:
    worker = Worker()
    worker.open(NET, runtime=TROUBLED)
    worker.close()
    worker.close()
    assert not _lives(worker.pid)


def test_a_module_in_the_working_folder_does_not_get_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    with Worker() as worker:
        worker.open(NET, runtime=TROUBLED)
        worker.feed([BATCH])


def test_onnx_runtime_between_two_requests_uses_no_cpu(tiny_net: Any, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(tiny_net.onnx())
    variant = Variant("net", "fp32", "onnx", (str(tmp_path / "net.onnx"),))
    with Worker() as worker:
        opened: Opened = worker.open(variant, threads=2)
        worker.feed([BATCH])
        assert worker.run_for(0.05).idle
        before = worker.usage().cpu_seconds
        time.sleep(0.5)
        # One spinning thread would take half a second; to ask takes some of a slow machine's.
        assert worker.usage().cpu_seconds - before < 0.1
    assert opened.provider == "cpu"
    assert opened.versions["onnxruntime"]


def test_a_file_that_is_no_model_is_refused(worker: Worker, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(ModelError):
        worker.open(Variant("broken", "fp32", "onnx", (str(broken),)))


def _lives(pid: int) -> bool:
    try:
        state: str = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _within(seconds: float, true: Any) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_session_in_a_worker_is_like_any_other() -> None:
    with open_in_worker(NET, runtime=TROUBLED, threads=2) as session:
        assert (session.runtime, session.provider, session.threads) == ("troubled", "cpu", 2)
        assert [spec.name for spec in session.inputs] == ["pixels"]
        assert session.run(BATCH)["sum"].tolist() == [8 * 8 * 3]
        with pytest.raises(InputError, match=r"was given <f8 \(float64\)"):
            session.run({"pixels": np.ones((1, 8, 8, 3))})
    with pytest.raises(InputError, match="is closed"):
        session.run(BATCH)


def test_a_crash_in_a_sessions_worker_is_an_error() -> None:
    trouble = {"what": "segfault"}
    with (
        open_in_worker(NET, runtime=TROUBLED, options=trouble) as session,
        pytest.raises(RuntimeCrashed, match="SIGSEGV"),
    ):
        session.run(BATCH)
    with pytest.raises(RuntimeCrashed, match="hung: no answer within 1 s"):
        open_in_worker(NET, runtime=TROUBLED, options={"what": "hang", "when": "open"}, limit=1.0)
