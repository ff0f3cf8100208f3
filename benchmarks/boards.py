"""What does a net as plain C need on a microcontroller? Six Cortex-M cores, emulated.

For each bundle `edgecnn bench --board all`: flash, RAM and stack of its C variants, instructions of
one inference as qemu counts them, and whether every answer is right. Instructions are no cycles and
say nothing of the time on a device.

With --cmsis-nn CHECKOUT, a copy of https://github.com/ARM-software/CMSIS-NN, the same ResNet-8 is
run layer by layer with Arm's own kernels on the same boards, by the same program and compiler
(`rivals/cmsis_nn`, with -O3, which is best for it). Its weights are made up, so only what is
counted can be compared.

    for net in lenet resnet8 mobilenet-tiny; do
        edgecnn export runs/$net --format c; edgecnn export runs/$net --format c --from int8; done
    python benchmarks/boards.py runs/lenet runs/resnet8 runs/mobilenet-tiny --cmsis-nn ../CMSIS-NN

Prints Markdown; all figures are in results/.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from edgecnn.boards import BOARDS, Board, BoardReport, BoardRow, bench_boards
from edgecnn.boards.building import build
from edgecnn.boards.emulating import BoardSession
from edgecnn.boards.tools import find_tools
from edgecnn.errors import EdgeCNNError
from edgecnn.records import to_builtins
from edgecnn.spec import Variant

HEAD = (
    "| core | variant | flash | of it weights | RAM | stack | instructions | per MAC | answers |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
# MLPerf Tiny v1.1, image classification (ResNet on CIFAR-10), NUCLEO-L4R5ZI (Cortex-M4, 120 MHz),
# https://mlcommons.org/benchmarks/inference-tiny: inferences in a second.
PUBLISHED = {"Plumerai": 5.96, "X-CUBE-AI": 4.5, "microTVM": 2.6}
SHELF = Path(__file__).parent / "rivals" / "cmsis_nn"
CMSIS_NN = "CMSIS-NN"
RESNET8_MACS = 12_501_632
# Which of its source files ResNet-8 in int8 needs; several others define the same static functions.
FOLDERS = ("Convolution", "NNSupport", "FullyConnected", "Pooling", "BasicMath")
LEFT_OUT = ("f16", "f32", "s4", "transpose_conv", "lstm", "svdf", "max_pool")


@dataclass(frozen=True)
class Rival:
    """What Arm's kernels need for the same layers.

    Attributes:
        board: The board.
        flash: Bytes.
        weights: Bytes of it.
        ram: Bytes.
        stack: Bytes.
        instructions: Of one inference.
    """

    board: str
    flash: int
    weights: int
    ram: int
    stack: int
    instructions: int


def main() -> None:
    options = arguments()
    reports = []
    for folder in options.bundles:
        reports.append(bench_boards(folder, ["all"], progress=tell))
        print("\n".join(table(reports[-1])), flush=True)
    rivals = list(measure(options.cmsis_nn)) if options.cmsis_nn else []
    if rivals:
        print("\n".join(rival_table(rivals)))
    print("\n".join(published(reports)))
    found = {"reports": to_builtins(reports), "cmsis_nn": to_builtins(rivals)}
    options.output.write_text(json.dumps(found, indent=1) + "\n")
    print(f"\nRaw data: [{options.output.name}]({options.output.name}).")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--cmsis-nn", type=Path, help="a checkout of CMSIS-NN")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    results = Path(__file__).parent / "results"
    options.output = options.output or results / f"boards-{date.today()}.json"
    return options


def tell(what: str, share: float) -> None:
    print(f"{100 * share:3.0f} % {what}", file=sys.stderr)


def table(report: BoardReport) -> Iterator[str]:
    macs = next(filter(None, (row.macs for row in report.rows)), 0)
    yield f"\n{Path(report.bundle).name}, {macs:,} multiply-accumulates, {report.images} images\n"
    yield HEAD
    yield from (line(row, report.images) for row in report.rows)
    for row in report.rows:
        if row.problem:
            yield f"\n{row.problem}"


def line(row: BoardRow, images: int) -> str:
    if row.sizes is None or row.instructions is None or row.stack is None:
        return f"| {row.board} | {row.variant} | " + "- | " * 6 + "none |"
    sizes, each = row.sizes, row.instructions_per_mac or 0
    equal = row.outcome == "pass" and row.equal == images
    answers = "equal" if equal else {"pass": "close"}.get(row.outcome, row.outcome)
    memory = " | ".join(map(kilobytes, (sizes.flash, sizes.weights, sizes.ram)))
    counted = f"{row.stack} B | {row.instructions / 1e6:.2f} M | {each:.2f}"
    return f"| {row.board} | {row.variant} | {memory} | {counted} | {answers} |"


def kilobytes(count: int) -> str:
    return f"{count / 1e3:.1f} kB"


def measure(checkout: Path) -> Iterator[Rival]:
    """Build and run ResNet-8 of CMSIS-NN's kernels on each board that it fits."""
    with tempfile.TemporaryDirectory() as folder:
        variant = written(checkout.resolve(), Path(folder))
        for board in BOARDS:
            tell(f"CMSIS-NN on {board.name}", 0)
            made = Path(folder) / board.name
            made.mkdir()
            try:
                yield rival(board, variant, made)
            except EdgeCNNError as error:
                print(f"{CMSIS_NN}: {error.problem}", file=sys.stderr)


def rival(board: Board, variant: Variant, folder: Path) -> Rival:
    tools = find_tools()
    image = build(variant, board, tools, folder)
    session = BoardSession(image, board, tools, 600)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    session.run({"pixels": pixels})
    (count,) = session.counts
    sizes = image.sizes
    instructions = round(count.instructions)
    return Rival(board.name, sizes.flash, sizes.weights, sizes.ram, count.stack, instructions)


def written(checkout: Path, folder: Path) -> Variant:
    """Write all that is needed as one C file, and let the compiler find the headers."""
    os.environ["C_INCLUDE_PATH"] = os.pathsep.join([str(checkout / "Include"), str(folder)])
    files = [
        file
        for part in FOLDERS
        for file in sorted((checkout / "Source" / f"{part}Functions").glob("*.c"))
        if wanted(file.stem)
    ]
    parts = ['#pragma GCC optimize("O3")', *(f'#include "{file}"' for file in files)]
    (folder / "net.c").write_text("\n".join([*parts, (SHELF / "resnet8.c").read_text()]))
    (folder / "net.h").write_text(
        "#include <stdint.h>\nvoid net_run(const uint8_t *input, float *outputs);\n"
    )
    facts = {
        "prefix": "net",
        "input": {"name": "pixels", "dtype": "uint8", "shape": [1, 32, 32, 3]},
        "outputs": [{"name": "logits", "dtype": "float32", "shape": [1, 10]}],
        "weights_bytes": 0,
        "arena_bytes": 0,
    }
    (folder / "net.json").write_text(json.dumps(facts))
    ends = ("c", "h", "json")
    return Variant("resnet8", "int8", "c", tuple(str(folder / f"net.{end}") for end in ends))


def wanted(name: str) -> bool:
    return not any(word in name for word in LEFT_OUT) and (
        not name.endswith("_s16") or name.endswith("s8_s16")
    )


def rival_table(rivals: Sequence[Rival]) -> Iterator[str]:
    yield f"\nThe same ResNet-8 with {CMSIS_NN}'s kernels, int8, weights made up\n"
    yield "| core | flash | of it weights | RAM | stack | instructions | per MAC |"
    yield "|---|---|---|---|---|---|---|"
    for each in rivals:
        memory = " | ".join(map(kilobytes, (each.flash, each.weights, each.ram)))
        per_mac = each.instructions / RESNET8_MACS
        counted = f"{each.stack} B | {each.instructions / 1e6:.2f} M | {per_mac:.2f}"
        yield f"| {each.board} | {memory} | {counted} |"


def published(reports: Sequence[BoardReport]) -> Iterator[str]:
    yield (
        "\nMLPerf Tiny v1.1 publishes for its ResNet-8 on CIFAR-10, on a Cortex-M4 at 120 MHz "
        "(NUCLEO-L4R5ZI), measured on the device:\n"
    )
    yield "| engine | inferences/s | cycles of one, millions |\n|---|---|---|"
    for engine, rate in PUBLISHED.items():
        yield f"| {engine} | {rate} | {120 / rate:.1f} |"
    yield (
        "\nThese are times on hardware; the figures above are emulated instructions. A cycle is no "
        "instruction: loads, branches and waits for flash take more, so they cannot be compared "
        "one to one."
    )
    for row in (row for report in reports for row in report.rows):
        if row.board == "cortex-m4" and row.variant == "c-int8" and row.macs == RESNET8_MACS:
            yield f"Ours took {(row.instructions or 0) / 1e6:.1f} million instructions there."


if __name__ == "__main__":
    main()
