"""The worker: a process of its own that holds one session and times it.

What is measured runs there, alone. If the engine crashes, hangs or eats the memory, the worker
ends and this process is told so; if this process ends, so does the worker. Between two requests a
worker waits without using the CPU, so that several can be alive side by side and take turns.

`handle` is the side of the process that asks, `serving` the worker's own, `messages` what passes
between them; `session` makes a worker look like any other session, `guarded` decides what needs
one, and `limits` says what it may take.
"""

from edgecnn.worker.guarded import (
    Crashes,
    EngineFailure,
    availabilities,
    check_guarded,
    computes_here,
    open_guarded,
)
from edgecnn.worker.handle import Worker
from edgecnn.worker.limits import LIMIT_SECONDS, WorkerLimits
from edgecnn.worker.messages import Opened, Timed, Usage
from edgecnn.worker.session import open_in_worker
from edgecnn.worker.tasks import Prepared, Task

__all__ = [
    "LIMIT_SECONDS",
    "Crashes",
    "EngineFailure",
    "Opened",
    "Prepared",
    "Task",
    "Timed",
    "Usage",
    "Worker",
    "WorkerLimits",
    "availabilities",
    "check_guarded",
    "computes_here",
    "open_guarded",
    "open_in_worker",
]
