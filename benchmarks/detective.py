"""The preprocessing detective on real nets, imported with each usual mistake in turn.

The nets are the shelf's, with their weights for CIFAR-10. For mistakes in sizing the pictures are
made wide, by mirroring their sides, so that the middle holds what the net learned; for the filters
they are enlarged. At the end the contracts that nets are trained with are crossed: the net's first
step then undoes one contract and applies its own, which is what a net trained with that contract
would compute.

    python benchmarks/detective.py --data cifar10/      # train/CLASS/*, test/CLASS/*
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from edgecnn.data import Split, load_dataset
from edgecnn.disk import write_atomically
from edgecnn.importing.contract import difference, flags
from edgecnn.importing.detective import Detection, detect, torch_scorer
from edgecnn.importing.mistakes import Suspect, distinct, form
from edgecnn.importing.scorers import Score, likeliest
from edgecnn.machine import Machine, this_machine
from edgecnn.nets import find_factory
from edgecnn.nets.making import call
from edgecnn.recipe import load_recipe
from edgecnn.records import to_json
from edgecnn.shelves import shelf
from edgecnn.spec import InputContract
from edgecnn.stats import Interval

Change = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
RESULTS = Path(__file__).parent / "results"
ZEROS, ONES, HALVES = (0.0,) * 3, (1.0,) * 3, (0.5,) * 3
CIFAR: dict[str, Any] = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.247, 0.2435, 0.2616)}
IMAGENET: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CAFFE: dict[str, Any] = {
    "color": "bgr",
    "scale": 1.0,
    "mean": (103.939, 116.779, 123.68),
    "std": ONES,
}


@dataclass(frozen=True)
class Tried:
    """One contract that the detective tried: how many of how many images, and the gain."""

    name: str
    images: int
    correct: int
    gain: Interval


@dataclass(frozen=True)
class Found:
    """What the detective found; see `Detection`."""

    outcome: str
    images: int
    correct: int
    visible: float
    best: Tried | None
    rivals: tuple[str, ...]
    tried: tuple[Tried, ...]
    sentence: str


@dataclass(frozen=True)
class Row:
    """One net, imported with one contract.

    Attributes:
        net: The net.
        truth: The contract that it was trained with, in a word.
        mistake: What it was imported with, in a word.
        given: The flags of the import that differ from the truth.
        accuracies: On the whole test split: with the contract given, with the one that the
            detective ends at, and with the true one.
        found: What the detective found, and found again when its advice was taken, and so on.
        named: The truth is among what it names in the end.
        seconds: How long the first of these took.
    """

    net: str
    truth: str
    mistake: str
    given: str
    accuracies: tuple[float, float, float]
    found: tuple[Found, ...]
    named: bool
    seconds: float


@dataclass(frozen=True)
class Result:
    """Everything found, and on what."""

    created: str
    machine: Machine
    versions: dict[str, str]
    rows: tuple[Row, ...]


class Retrained(nn.Module):
    """A net that takes what another contract makes of pictures."""

    def __init__(self, net: nn.Module, own: InputContract, taken: InputContract) -> None:
        super().__init__()
        self.net, self.own, self.taken = net, own, taken

    def forward(self, images: torch.Tensor) -> Any:
        def shaped(values: tuple[float, ...]) -> torch.Tensor:
            return torch.tensor(values)[:, None, None]

        pixels = (images * shaped(self.taken.std) + shaped(self.taken.mean)) / self.taken.scale
        if self.taken.color != self.own.color:
            pixels = pixels.flip(1)
        return self.net((pixels * self.own.scale - shaped(self.own.mean)) / shaped(self.own.std))


def main() -> None:
    """Look at every net with every mistake, keep what was found, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="train/CLASS/* and test/CLASS/*")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = tuple(all_rows(options.data, Path(folder)))
    now = datetime.now(timezone.utc)
    versions = {"torch": str(torch.__version__), "numpy": np.__version__}
    result = Result(now.isoformat(timespec="seconds"), this_machine(), versions, rows)
    path = RESULTS / f"detective-{now:%Y-%m-%d}.json"
    write_atomically(path, to_json(result))
    print(markdown(result))
    print(f"Raw data: {path}")


def all_rows(data: Path, folder: Path) -> list[Row]:
    """Carry out every case."""
    rows = []
    for name, recipe in (("resnet8", "resnet8/cifar10"), ("lenet", "lenet")):
        net, own = shelf_net(name, recipe)
        own = replace(own, labels=load_dataset(data, own).labels)
        wide, large = (folder / f"{name}-{form}.npz" for form in ("wide", "large"))
        remake(data, own, wide, widened)
        remake(data, own, large, enlarged)
        for mistake, given in values_mistaken(own).items():
            rows.append(look(name, "own", own, mistake, given, net, data))
        true = replace(own, resize="crop 32")
        for mistake, given in sizing_mistaken(true).items():
            rows.append(look(f"{name}, wide pictures", "crop 32", true, mistake, given, net, wide))
        true = replace(own, filter="nearest")  # which brings the small pictures back
        for mistake, given in filter_mistaken(true).items():
            rows.append(look(f"{name}, enlarged", "nearest", true, mistake, given, net, large))
    # The last was lenet, the quicker of the two.
    trained = contracts(own)
    for truth, taken in trained.items():
        for mistake, given in trained.items():
            retrained = Retrained(net, own, taken).eval()
            rows.append(look("lenet", truth, taken, mistake, given, retrained, data))
    return rows


def shelf_net(name: str, recipe: str) -> tuple[nn.Module, InputContract]:
    """Give a net of the shelf with its weights, and the contract of its recipe."""
    from safetensors.torch import load_file

    net = call(find_factory(name), {})
    net.load_state_dict(load_file(shelf("models") / name / "weights.safetensors"))
    return net.eval(), load_recipe(recipe).input


def contracts(own: InputContract) -> dict[str, InputContract]:
    """Give the contracts that most nets are trained with."""
    plain: dict[str, Any] = {"scale": 1 / 255, "mean": ZEROS, "std": ONES}
    return {
        "CIFAR-10's mean, std": replace(own, **CIFAR),
        "ImageNet's mean, std": replace(own, **IMAGENET),
        "-1..1": replace(own, mean=HALVES, std=HALVES),
        "0..1": replace(own, **plain),
        "0..255": replace(own, **(plain | {"scale": 1.0})),
        "BGR, Caffe": replace(own, **CAFFE),
        "BGR, 0..1": replace(own, **plain, color="bgr"),
    }


def values_mistaken(own: InputContract) -> dict[str, InputContract]:
    """Give the contract itself and those with one mistake in colour or values."""
    return {
        "none": own,
        "BGR": replace(own, color="bgr", mean=own.mean[::-1], std=own.std[::-1]),
        "0..255": replace(own, scale=1.0, mean=ZEROS, std=ONES),
        "0..1": replace(own, mean=ZEROS, std=ONES),
        "-1..1": replace(own, mean=HALVES, std=HALVES),
        "ImageNet's mean, std": replace(own, **IMAGENET),
        "scale forgotten": replace(own, scale=1.0),
        "std forgotten": replace(own, std=ONES),
        "BGR and 0..255": replace(own, color="bgr", scale=1.0, mean=ZEROS, std=ONES),
    }


def sizing_mistaken(true: InputContract) -> dict[str, InputContract]:
    """Give the contract itself and those with one mistake in sizing."""
    return {
        "none": true,
        "stretched": replace(true, resize="stretch"),
        "letterboxed": replace(true, resize="letterbox"),
        "the middle of crop 37": replace(true, resize="crop 37"),
    }


def filter_mistaken(true: InputContract) -> dict[str, InputContract]:
    """Give the contract itself and those with another filter."""
    names = ("bilinear", "bicubic", "lanczos")
    return {"none": true} | {name: replace(true, filter=name) for name in names}


def remake(data: Path, contract: InputContract, path: Path, change: Change) -> None:
    """Keep 5,000 pictures of each split, changed, as a NumPy file."""
    found = load_dataset(data, contract)
    arrays: dict[str, NDArray[Any]] = {"labels": np.array(found.labels)}
    for part, split in (("train", found.train), ("test", found.test)):
        few = split.take(np.arange(0, len(split), max(1, len(split) // 5000)))
        arrays[f"x_{part}"], arrays[f"y_{part}"] = change(few.images), few.labels
    np.savez(path, allow_pickle=False, **arrays)


def widened(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mirror the sides of pictures, so that they become half as wide again."""
    return np.pad(images, ((0, 0), (0, 0), (8, 8), (0, 0)), "reflect")


def enlarged(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make pictures two and a half times as large."""
    size = (images.shape[2] * 5 // 2, images.shape[1] * 5 // 2)
    resized = [Image.fromarray(image).resize(size, Image.Resampling.BICUBIC) for image in images]
    return np.stack([np.asarray(image) for image in resized])


def look(
    name: str,
    truth: str,
    true: InputContract,
    mistake: str,
    given: InputContract,
    net: nn.Module,
    data: Path,
) -> Row:
    """Let the detective look, take its advice, and look again until it is content."""
    score, found, contract, start = torch_scorer(net), [], given, time.perf_counter()
    while True:
        found.append(detect(score, contract, data))
        if len(found) == 1:
            seconds = time.perf_counter() - start
        if found[-1].best is None or len(found) == 3:
            break
        contract = found[-1].best.contract
    known: dict[InputContract, float] = {}
    for one in (given, contract, true):
        known[one] = known.get(one) or accuracy(score, one, data)
    row = Row(
        net=name,
        truth=truth,
        mistake=mistake,
        given=flags(difference(true, given)),
        accuracies=(known[given], known[contract], known[true]),
        found=tuple(map(kept, found)),
        named=is_named(true, contract, found),
        seconds=seconds,
    )
    print(line(row), file=sys.stderr, flush=True)
    return row


def kept(found: Detection) -> Found:
    """Leave the contracts out, which fill most of a detection."""
    tried = tuple(Tried(each.name, each.images, each.correct, each.gain) for each in found.trials)
    best = next((each for each in tried if found.best and each.name == found.best.name), None)
    counts = (found.outcome, found.images, found.correct, found.visible)
    return Found(*counts, best, found.rivals, tried, found.sentence)


def is_named(true: InputContract, ended: InputContract, found: list[Detection]) -> bool:
    """Say whether the detective ends at the truth or names it as one it cannot tell apart."""
    named = [Suspect("", ended)]
    for detection in found:
        names = {*detection.rivals}
        named += [Suspect("", each.contract) for each in detection.trials if each.name in names]
    return any(not distinct(true, [each]) for each in named)


def accuracy(score: Score, contract: InputContract, data: Path) -> float:
    """Give the share of the test split that is recognised."""
    split = test_split(data, form(contract))
    images = split.images[..., ::-1] if contract.color == "bgr" else split.images
    answers = likeliest(score(contract, np.ascontiguousarray(images)), len(contract.labels))
    return float((answers == split.labels).mean())


@cache
def test_split(data: Path, contract: InputContract) -> Split:
    """Read the test split once for each form of the pictures."""
    return load_dataset(data, contract).test


def markdown(result: Result) -> str:
    """Write the tables."""
    heads = (
        "| net | trained with | imported with | outcome | it names | gain (points) | also not told "
        "apart | accuracy: imported | after its advice | true contract | seconds |"
    )
    lines = [heads, "|---" * (heads.count("|") - 1) + "|"]
    return "\n".join([*lines, *map(line, result.rows)])


def line(row: Row) -> str:
    """Write one row."""
    first = row.found[0]
    names = [each.best.name for each in row.found if each.best]
    gain = first.best and first.best.gain
    cells = [
        row.net,
        row.truth,
        row.mistake,
        first.outcome,
        ", then ".join(names),
        f"{100 * gain.estimate:.1f} [{100 * gain.low:.1f}, {100 * gain.high:.1f}]" if gain else "",
        "; ".join(first.rivals),
        *(f"{100 * share:.1f} %" for share in row.accuracies),
        f"{row.seconds:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
