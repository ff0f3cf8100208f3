"""Nets that users bring, carried from their weights to a proved int8 bundle by the real commands.

torchvision's nets get random weights, saved to a file as a user would have it. Their batch
statistics are measured on the training pictures: without, the outputs of some shrink to 1e-17.
Each net then goes through import, export --quantize, parity, eval, bench and verify, each command
in a process of its own. ONNX files go the same way; without data there is no int8, and eval is left
out. Prints a table in Markdown; one row for each net, with every command's time, memory and exit
code, goes to results/, and is written as soon as it is there.

    python benchmarks/bring_your_own.py --data pictures/           # train/CLASS/*, test/CLASS/*
    python benchmarks/bring_your_own.py --data pictures/ --nets resnet18 --input-size 96x96
    python benchmarks/bring_your_own.py --nets '' --onnx face.onnx --onnx-data pictures/

Beside FILE.onnx, FILE.toml is taken for its `--contract`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from edgecnn.disk import write_atomically
from edgecnn.machine import Machine, this_machine
from edgecnn.records import to_json

RESULTS = Path(__file__).parent / "results"
EDGECNN = [sys.executable, "-c", "from edgecnn.cli import main; main()"]
NETS = (
    "resnet18",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "squeezenet1_1",
    "shufflenet_v2_x1_0",
    "densenet121",
    "efficientnet_b0",
    "regnet_y_400mf",
)


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        command: What was typed after `edgecnn`, without the folders of this machine.
        exit_code: How it ended.
        seconds: Wall time of the whole process.
        peak_memory_bytes: The most memory that it or a process of its own held.
        said: What it said on stderr last, where it did not end with 0.
        report: The body of the JSON that it printed; empty where it printed none.
    """

    command: str
    exit_code: int
    seconds: float
    peak_memory_bytes: int
    said: str
    report: dict[str, Any] = field(repr=False, default_factory=dict)

    @property
    def name(self) -> str:
        return self.command.split()[0]


@dataclass(frozen=True)
class Row:
    """One net, from what the user has to its proof on this machine.

    Attributes:
        net: The net's name, or the file's.
        steps: The commands, in order, without their reports.
        errors: Names of the commands that ended with another code than 0 and 5, which says that
            this machine could not tell.
        seconds: Of all commands together.
        size_fp32: Bytes of the fp32 file; None where there is none.
        size_int8: Bytes of the int8 file; None likewise.
        ratio: Time of int8 over fp32 by `bench`; None likewise.
        ratio_low: Lower end of its 95 % interval.
        ratio_high: Upper end of its 95 % interval.
        noise_floor: What bench calls so.
        same_answer: Share of test pictures to which fp32 and int8 answer the same.
        sqnr_db: Of each output of int8 against float64 on the golden pictures.
        float_operators: Operators that compute in float between int8 ones.
        uneven_operators: Integer operators that CPUs may round differently.
        bit_exact: Every CPU gives the same bits with int8.
    """

    net: str
    steps: tuple[Step, ...]
    errors: tuple[str, ...]
    seconds: float
    size_fp32: int | None = None
    size_int8: int | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    noise_floor: float | None = None
    same_answer: float | None = None
    sqnr_db: dict[str, float] = field(default_factory=dict)
    float_operators: tuple[str, ...] = ()
    uneven_operators: tuple[str, ...] = ()
    bit_exact: bool | None = None


@dataclass(frozen=True)
class Result:
    """Everything that was found, and on what."""

    created: str
    machine: Machine
    input_size: str
    rows: tuple[Row, ...]


def main() -> None:
    """Carry every net through, keep each row at once, and print the table."""
    options = parse_options()
    now = datetime.now(timezone.utc)
    path = options.results / f"bring_your_own-{now:%Y-%m-%d}.json"
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.runs or Path(scratch)
        subjects = [*torchvision_nets(options, folder), *onnx_files(options)]
        for name, arguments, data in subjects:
            rows.append(carry(name, arguments, data, folder / name, options))
            when = now.isoformat(timespec="seconds")
            result = Result(when, this_machine(), options.input_size, tuple(rows))
            write_atomically(path, to_json(result))
            print(line(rows[-1]), file=sys.stderr, flush=True)
    print(markdown(rows))
    print(f"\nRaw data: {path}")
    sys.exit(any(row.errors for row in rows))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="pictures in train/CLASS/* and test/CLASS/*")
    parser.add_argument("--nets", default=",".join(NETS), help="torchvision's names")
    parser.add_argument("--onnx", type=Path, action="append", default=[], help="an ONNX file")
    parser.add_argument("--onnx-data", help="labelled pictures for the ONNX files")
    parser.add_argument("--input-size", default="224x224", help="of torchvision's nets")
    parser.add_argument("--threads", default="1", help="threads of every command that takes them")
    parser.add_argument("--duration", default="6", help="seconds of measuring in bench")
    parser.add_argument("--calibration-samples", help="pictures that set the ranges of int8")
    parser.add_argument("--runs", type=Path, help="where the bundles stay; gone by default")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the JSON goes")
    options = parser.parse_args()
    if options.nets and not options.data:
        parser.error("torchvision's nets need --data")
    return options


def torchvision_nets(
    options: argparse.Namespace, folder: Path
) -> list[tuple[str, list[str], str | None]]:
    """Save random weights of each net, and say how it is imported and on which data."""
    names = [name for name in options.nets.split(",") if name]
    folder.mkdir(parents=True, exist_ok=True)
    found: list[tuple[str, list[str], str | None]] = []
    for name in names:
        weights, classes = folder / f"{name}.pth", class_count(options.data)
        # In a process of its own: what this one holds would count as memory of every command.
        task = get_context("spawn").Process(
            target=save_weights, args=(name, weights, classes, options)
        )
        task.start()
        task.join()
        if task.exitcode:
            sys.exit(f"The weights of {name} could not be made.")
        arguments = ["--model", f"torchvision:{name}", "--model-arg", f"num_classes={classes}"]
        arguments += ["--weights", str(weights), "--input-size", options.input_size]
        arguments += ["--data", options.data, "--no-detective"]
        found.append((name, arguments, options.data))
    return found


def class_count(data: str) -> int:
    """Count the classes of a folder."""
    return sum(place.is_dir() for place in (Path(data) / "train").iterdir())


def save_weights(name: str, path: Path, classes: int, options: argparse.Namespace) -> None:
    """Write random weights, with batch statistics of the training pictures, as PyTorch does."""
    import torch
    from torchvision.models import get_model

    from edgecnn.data import load_dataset
    from edgecnn.predictor import normalise
    from edgecnn.spec import InputContract

    height, width = map(int, options.input_size.split("x"))
    contract = InputContract(height, width, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    pictures = load_dataset(options.data, contract).train.images[::7][:32]
    torch.manual_seed(0)
    net = get_model(name, weights=None, num_classes=classes).train()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean over all passes
    with torch.no_grad():
        for start in range(0, len(pictures), 16):
            net(torch.from_numpy(normalise(contract, pictures[start : start + 16])))
    torch.save(net.state_dict(), path)


def onnx_files(options: argparse.Namespace) -> list[tuple[str, list[str], str | None]]:
    """Say how each ONNX file is imported and on which data."""
    found = []
    for file in options.onnx:
        arguments, contract = [str(file)], file.with_suffix(".toml")
        if contract.is_file():
            arguments += ["--contract", str(contract)]
        if options.onnx_data:
            arguments += ["--data", options.onnx_data]
        found.append((file.stem, arguments, options.onnx_data))
    return found


def carry(
    name: str, arguments: list[str], data: str | None, bundle: Path, options: argparse.Namespace
) -> Row:
    """Type the commands one after the other; after one that fails, the others are tried too."""
    threads = ["--threads", options.threads]
    export = ["--quantize", *threads] if data else []
    if data and options.calibration_samples:
        export += ["--calibration-samples", options.calibration_samples]
    commands = [
        ["import", *arguments, "--output", str(bundle), "--force"],
        ["export", str(bundle), *export],
        ["parity", str(bundle), *threads],
        *([["eval", str(bundle), *threads]] if data else []),
        ["bench", str(bundle), *threads, "--duration", options.duration],
        ["verify", str(bundle), *threads],
    ]
    steps: list[Step] = []
    for command in commands:
        if steps and steps[0].exit_code:
            break
        steps.append(run([*command, "--json"]))
        said = f" {steps[-1].said}" if steps[-1].exit_code else ""
        print(
            f"{name}: {steps[-1].name} {steps[-1].seconds:.1f} s, code {steps[-1].exit_code}{said}",
            file=sys.stderr,
            flush=True,
        )
    return summarise(name, steps)


def run(arguments: list[str]) -> Step:
    """Run one command of edgecnn in a process of its own."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.monotonic()
        process = subprocess.Popen([*EDGECNN, *arguments], stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = code = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        printed, said = out.read(), err.read().strip()
    report = json.loads(printed)["body"] if printed.startswith("{") else {}
    command = shlex.join(argument.rpartition("/")[2] or argument for argument in arguments)
    said = re.sub(r"\S*/", "", said)
    return Step(command, code, seconds, usage.ru_maxrss * 1024, said[-500:] if code else "", report)


def summarise(name: str, steps: list[Step]) -> Row:
    """Take the figures of a row out of what the commands reported."""
    reports = {step.name: step.report for step in steps}
    exported, measured = reports.get("export", {}), reports.get("bench", {})
    int8 = exported.get("int8") or {}
    [latency] = measured.get("comparisons") or [{}]
    paired, agreement = int8.get("paired") or {}, int8.get("agreement") or {}
    tolerances = (int8.get("tolerances") or {}).values()
    return Row(
        net=name,
        steps=tuple(
            Step(s.command, s.exit_code, s.seconds, s.peak_memory_bytes, s.said) for s in steps
        ),
        errors=tuple(step.name for step in steps if step.exit_code not in (0, 5)),
        seconds=sum(step.seconds for step in steps),
        size_fp32=exported.get("size"),
        size_int8=int8.get("int8", {}).get("size"),
        ratio=latency.get("ratio"),
        ratio_low=latency.get("low"),
        ratio_high=latency.get("high"),
        noise_floor=latency.get("noise_floor"),
        same_answer=paired.get("same"),
        sqnr_db={output: found["sqnr_db"] for output, found in agreement.items()},
        float_operators=tuple(int8.get("work", {}).get("float_operators", ())),
        uneven_operators=tuple(int8.get("uneven_operators", ())),
        bit_exact=all(each["bit_exact"] for each in tolerances) if int8 else None,
    )


def markdown(rows: list[Row]) -> str:
    """Write the table."""
    head = [
        "| net | commands | exit codes | peak memory | size | int8 / fp32 | noise floor | same "
        "answer | SQNR | in float | bit for bit |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *map(line, rows)])


def line(row: Row) -> str:
    """Write one row of the table."""
    sizes = [f"{size / 1e6:.1f}" for size in (row.size_fp32, row.size_int8) if size]
    codes = ", ".join(str(step.exit_code) for step in row.steps)
    peak = max(step.peak_memory_bytes for step in row.steps)
    low_high = f" [{row.ratio_low:.2f}, {row.ratio_high or float('inf'):.2f}]" if row.ratio else ""
    cells = [
        f"`{row.net}`",
        f"{len(row.steps)} in {row.seconds:.0f} s",
        codes,
        f"{peak / 1e9:.1f} GB",
        f"{' → '.join(sizes)} MB",
        f"{row.ratio:.2f}{low_high}" if row.ratio else "",
        f"{100 * row.noise_floor:.1f} %" if row.noise_floor is not None else "",
        f"{100 * row.same_answer:.1f} %" if row.same_answer is not None else "",
        ", ".join(f"{value:.1f} dB" for value in row.sqnr_db.values() if value is not None),
        ", ".join(row.float_operators) or ("nothing" if row.bit_exact is not None else ""),
        {True: "yes", False: "no", None: ""}[row.bit_exact],
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
