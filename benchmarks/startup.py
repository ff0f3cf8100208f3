"""How long `edgecnn --help` takes against `import click`, the least that any such tool must do.

    python benchmarks/startup.py [--rounds 40]

Both run by turns in fresh processes, in ABBA order, so that whatever slows the machine slows both.
The ratio is the median of the rounds' ratios; 1.5 is the most it may be.
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
EDGECNN = [str(Path(sys.executable).parent / "edgecnn"), "--help"]
COMMANDS = {"import click": [sys.executable, "-c", "import click"], "edgecnn --help": EDGECNN}


def main() -> None:
    """Measure, keep the raw times, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    for command in COMMANDS.values():
        seconds(command)  # fills the disk's cache and writes bytecode
    times = measure(rounds)
    ratios = [ours / least for least, ours in zip(*times.values(), strict=True)]
    ratio = statistics.median(ratios)
    low, _, high = statistics.quantiles(ratios, n=4)
    RESULTS.parent.mkdir(exist_ok=True)
    found = {
        "machine": to_builtins(this_machine()),
        "commands": COMMANDS_AS_TYPED,
        "seconds": times,
        "ratio": ratio,
        "quartiles": [low, high],
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print("| command | median ms | fastest ms |")
    print("|---|---|---|")
    for name, values in times.items():
        print(f"| `{name}` | {1e3 * statistics.median(values):.1f} | {1e3 * min(values):.1f} |")
    spread = f"quartiles {low:.2f} to {high:.2f}, {rounds} rounds"
    print(f"\nRatio {ratio:.2f} ({spread}); it may be {MOST} at most.")
    sys.exit(ratio > MOST)


def measure(rounds: int) -> dict[str, list[float]]:
    """Time the two by turns: A B, B A, A B, …"""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds):
        order = list(COMMANDS) if number % 2 == 0 else list(COMMANDS)[::-1]
        for name in order:
            times[name].append(seconds(COMMANDS[name]))
    return times


def seconds(command: list[str]) -> float:
    """Run a command once in a fresh process."""
    # As users have it: with bytecode, whatever this shell forbids.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=env)
    return time.perf_counter() - start


COMMANDS_AS_TYPED = {"import click": 'python -c "import click"', "edgecnn --help": "edgecnn --help"}

if __name__ == "__main__":
    main()
