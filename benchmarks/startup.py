"""How long `edgecnn --help` takes against `import click`, the least that any such tool must do.

    python benchmarks/startup.py [--rounds 60]

Both run by turns in fresh processes, in ABBA order, so that whatever slows the machine slows both.
The ratio is the median of the rounds' ratios; 1.5 is the most it may be. CPU time stands beside the
time on the clock, because another process on the same cores spoils only the latter.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from edgecnn.machine import this_machine
from edgecnn.records import to_builtins

MOST = 1.5
RESULTS = Path(__file__).parent / "results" / "startup.json"
PROGRAM = str(Path(sys.executable).parent / "edgecnn")
LEAST, OURS = 'python -c "import click"', "edgecnn --help"
COMMANDS = {LEAST: [sys.executable, "-c", "import click"], OURS: [PROGRAM, "--help"]}
# As users have it: with bytecode, whatever this shell forbids.
ENVIRONMENT = {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}

Times = dict[str, list[tuple[float, float]]]


def main() -> None:
    """Measure, keep the raw times, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    for command in COMMANDS.values():
        seconds(command)  # fills the disk's cache and writes bytecode
    times = measure(rounds)
    clock, cpu = (ratios(times, kind) for kind in (0, 1))
    keep(times)
    print("| command | median ms | CPU ms |")
    print("|---|---|---|")
    for name, values in times.items():
        medians = [1e3 * statistics.median(column) for column in zip(*values, strict=True)]
        print(f"| `{name}` | {medians[0]:.1f} | {medians[1]:.1f} |")
    low, ratio, high = statistics.quantiles(clock, n=4)
    print(f"\nRatio {ratio:.2f} (quartiles {low:.2f} to {high:.2f}, {rounds} rounds), ", end="")
    print(f"in CPU time {statistics.median(cpu):.2f}; it may be {MOST} at most.")
    sys.exit(ratio > MOST)


def measure(rounds: int) -> Times:
    """Time the two by turns: A B, B A, A B, …"""
    times: Times = {name: [] for name in COMMANDS}
    for number in range(rounds):
        for name in list(COMMANDS)[:: 1 if number % 2 == 0 else -1]:
            times[name].append(seconds(COMMANDS[name]))
    return times


def seconds(command: list[str]) -> tuple[float, float]:
    """Run a command once in a fresh process; give its time on the clock, and of the CPU."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    _, status, usage = os.wait4(child.pid, 0)
    clock = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return clock, usage.ru_utime + usage.ru_stime


def ratios(times: Times, kind: int) -> list[float]:
    """Give each round's ratio of one kind of time."""
    pairs = zip(times[OURS], times[LEAST], strict=True)
    return [ours[kind] / least[kind] for ours, least in pairs]


def keep(times: Times) -> None:
    """Write the raw times down."""
    RESULTS.parent.mkdir(exist_ok=True)
    found = {"machine": to_builtins(this_machine()), "clock and CPU seconds": times}
    RESULTS.write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
