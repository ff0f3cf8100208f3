"""How much memory `edgecnn predict` takes for few pictures and for many.

    python benchmarks/predict.py BUNDLE [--counts 64 4096] [--rounds 3]

Photographs of 640x480 pixels are drawn, one file for each picture, and given as a folder to the
real command line. The peak is what the kernel says of the finished process. Each form of output is
measured, since a table or a document that is kept until its end would grow with the pictures. The
last rows are the largest pictures that are let in, one of each kind.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from edgecnn.machine import this_machine
from edgecnn.records import to_builtins

RESULTS = Path(__file__).parent / "results" / "predict.json"
PROGRAM = str(Path(sys.executable).parent / "edgecnn")
# A process inherits the peak of whoever starts it, so something small must.
STARTER = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(child, 0)
cpu = used.ru_utime + used.ru_stime
print(used.ru_maxrss / 1024, cpu, os.waitstatus_to_exitcode(status), file=sys.stderr)
"""
FORMS = {"table": [], "json": ["--json"], "jsonl": ["--jsonl"]}
SIDE = 8000  # 64 million pixels, the most that are let in


@dataclass(frozen=True)
class Run:
    """One run of the command: its peak memory in MiB and how long it took."""

    what: str
    form: str
    pictures: int
    peak_mib: float
    seconds: float
    cpu_seconds: float


def main() -> None:
    """Measure, keep the raw figures, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[64, 4096])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        runs = measure(given.bundle, Path(scratch), given.counts, given.rounds)
        runs += largest(given.bundle, Path(scratch))
    keep(runs)
    print("| pictures | output | peak MiB | s |")
    print("|---|---|---|---|")
    for run in runs:
        what = f"{run.pictures:,} {run.what}"
        print(f"| {what} | {run.form} | {run.peak_mib:.1f} | {run.seconds:.1f} |")


def measure(bundle: Path, scratch: Path, counts: list[int], rounds: int) -> list[Run]:
    """Run every form on every number of pictures, by turns."""
    folders = {count: draw(scratch / str(count), count) for count in counts}
    return [
        run("photographs", bundle, folders[count], form, count)
        for _ in range(rounds)
        for form in FORMS
        for count in counts
    ]


def largest(bundle: Path, scratch: Path) -> list[Run]:
    """Run the command on one picture of 64 million pixels, of each kind."""
    grey = Image.fromarray(np.arange(SIDE, dtype=np.uint8)[None].repeat(SIDE, axis=0))
    kinds = {"grey.png": "L", "colour.jpg": "RGB", "colour.png": "RGB", "clear.png": "RGBA"}
    runs = []
    for name, mode in kinds.items():
        path = scratch / name
        grey.convert(mode).save(path)
        runs.append(run(f"of 64 megapixels, {mode}, {path.suffix[1:]}", bundle, path, "jsonl", 1))
    return runs


def draw(folder: Path, count: int) -> Path:
    """Write so many JPEGs of smooth colours with grain."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8))
        picture = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC), np.int16)
        grain = random.integers(-9, 10, picture.shape[:2], np.int16)[..., None]
        pixels = np.clip(picture + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:05}.jpg", quality=80)
    return folder


def run(what: str, bundle: Path, pictures: Path, form: str, count: int) -> Run:
    """Run the command and read what the kernel counted."""
    line = [PROGRAM, "predict", str(pictures), "--bundle", str(bundle), *FORMS[form]]
    begun = time.perf_counter()
    starter = [sys.executable, "-I", "-S", "-c", STARTER, *line]
    done = subprocess.run(starter, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    seconds = time.perf_counter() - begun
    peak, cpu, code = done.stderr.split()[-3:]
    if code != b"0":
        raise RuntimeError(done.stderr.decode())
    return Run(what, form, count, float(peak), seconds, float(cpu))


def keep(runs: list[Run]) -> None:
    """Write the raw figures and the machine."""
    body = {"machine": to_builtins(this_machine()), "runs": [asdict(run) for run in runs]}
    RESULTS.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
