"""How much CPU time the recipe `lenet` takes for the tutorial's accuracy, against the tutorial.

Both learn the same CIFAR-10 pictures, one after the other, seed by seed, each in a process of its
own. The tutorial's script ("Training a classifier" in PyTorch's documentation) is written anew
below: DataLoader with 2 workers, batch 4, SGD at 0.001. CPU time is user and system time of a
process and its workers: of the whole process, and of its epochs alone.

    python benchmarks/train_time.py --data cifar10/        # folders train/CLASS/* and test/CLASS/*
    python benchmarks/train_time.py --data cifar10/ --seeds 0 --tutorial-epochs 1    # a quick look
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edgecnn.data import load_dataset
from edgecnn.disk import write_atomically
from edgecnn.machine import Machine, this_machine
from edgecnn.recipe import load_recipe
from edgecnn.records import to_json

RESULTS = Path(__file__).parent / "results"
EDGECNN = [sys.executable, "-c", "from edgecnn.cli import main; main()"]
LEAST_RATIO, AIM, NEEDED_ACCURACY = 30, 40, 0.61


@dataclass(frozen=True)
class Run:
    """One training run in a process of its own.

    Attributes:
        what: `tutorial` or `lenet`.
        seed: Its seed.
        accuracy: Share of right answers on the test pictures.
        epochs_cpu_seconds: CPU time of the epochs alone.
        cpu_seconds: CPU time of the whole process and its workers.
        seconds: Wall time of the whole process.
        details: What the run said of itself.
    """

    what: str
    seed: int
    accuracy: float
    epochs_cpu_seconds: float
    cpu_seconds: float
    seconds: float
    details: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """Everything measured, with what it was measured on."""

    created: str
    machine: Machine
    versions: dict[str, str]
    train_images: int
    test_images: int
    train_sha256: str
    test_sha256: str
    tutorial_epochs: int
    runs: list[Run] = field(default_factory=list)


def main() -> None:
    """Measure, keep every run as soon as it is done, and print a table."""
    options = parse_options()
    if options.tutorial:
        print(json.dumps(tutorial(options.data, options.tutorial_epochs, options.seeds[0])))
        return
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures.npz"
        result = begin(options, pictures)
        path = RESULTS / f"train_time-{result.created[:10]}-{result.machine.name}.json"
        for seed in options.seeds:
            for measure in (measure_tutorial, measure_lenet):
                result.runs.append(measure(pictures, seed, options.tutorial_epochs))
                write_atomically(path, to_json(result))
                say(result.runs[-1])
    print(table(result))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, help="CIFAR-10 as folders of pictures")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tutorial-epochs", type=int, default=10)
    parser.add_argument("--tutorial", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def begin(options: argparse.Namespace, pictures: Path) -> Result:
    """Decode the pictures once, so that neither side is charged for it."""
    import torch
    import torchvision

    data = load_dataset(options.data, load_recipe("lenet").input)
    np.savez(
        pictures,
        x_train=data.train.images,
        y_train=data.train.labels,
        x_test=data.test.images,
        y_test=data.test.labels,
        labels=np.array(data.labels),
    )
    return Result(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        machine=this_machine(),
        versions={"torch": str(torch.__version__), "torchvision": str(torchvision.__version__)},
        train_images=len(data.train),
        test_images=len(data.test),
        train_sha256=data.train.sha256,
        test_sha256=data.test.sha256,
        tutorial_epochs=options.tutorial_epochs,
    )


def measure_tutorial(pictures: Path, seed: int, epochs: int) -> Run:
    """Run the tutorial's script in a process of its own."""
    command = [sys.executable, __file__, "--tutorial", "--data", str(pictures)]
    command += ["--seeds", str(seed), "--tutorial-epochs", str(epochs)]
    text, cpu, seconds = measured(command)
    details = json.loads(text)
    return Run("tutorial", seed, details["accuracy"], details["cpu_seconds"], cpu, seconds, details)


def measure_lenet(pictures: Path, seed: int, _: int) -> Run:
    """Run `edgecnn train lenet` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "lenet")
        command = [*EDGECNN, "train", "lenet", "--data", str(pictures), "--seed", str(seed)]
        text, cpu, seconds = measured([*command, "--output", output, "--device", "cpu", "--json"])
    body = json.loads(text)["body"]
    details = {name: body[name] for name in ("plan", "curve", "classes", "parameters")}
    return Run(
        "lenet",
        seed,
        body["accuracy"]["estimate"],
        body["training_cpu_seconds"],
        cpu,
        seconds,
        details,
    )


def measured(command: list[str]) -> tuple[str, float, float]:
    """Run a command; give what it prints, its CPU time with all its children, and wall time."""
    import time

    before, begun = cpu_time(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds = time.perf_counter() - begun
    return done.stdout, cpu_time(resource.RUSAGE_CHILDREN) - before, seconds


def cpu_time(who: int) -> float:
    """Give user and system time, in seconds."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def own_cpu_time() -> float:
    """Give the CPU time of this process and of the workers that have ended."""
    return cpu_time(resource.RUSAGE_SELF) + cpu_time(resource.RUSAGE_CHILDREN)


def tutorial(pictures: str, epochs: int, seed: int) -> dict[str, Any]:
    """Do what the tutorial does: its net, its data loading, its loop, its test."""
    import torch
    from torch import nn, optim
    from torch.utils.data import DataLoader

    torch.manual_seed(seed)
    arrays = np.load(pictures)
    train = in_memory(arrays["x_train"], arrays["y_train"])
    test = in_memory(arrays["x_test"], arrays["y_test"])
    loader = DataLoader(train, batch_size=4, shuffle=True, num_workers=2)
    test_loader = DataLoader(test, batch_size=4, shuffle=False, num_workers=2)
    net = tutorial_net()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    before, curve = own_cpu_time(), []
    for epoch in range(epochs):
        running_loss = 0.0
        for number, (inputs, labels) in enumerate(loader):
            optimizer.zero_grad()
            loss = criterion(net(inputs), labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            if number % 2000 == 1999:
                print(
                    f"[{epoch + 1}, {number + 1:5d}] loss: {running_loss / 2000:.3f}",
                    file=sys.stderr,
                )
                curve.append(running_loss / 2000)
                running_loss = 0.0
    cpu = own_cpu_time() - before
    right = 0
    with torch.no_grad():
        for inputs, labels in test_loader:
            right += int((net(inputs).argmax(1) == labels).sum())
    return {"accuracy": right / len(test), "cpu_seconds": cpu, "losses": curve}


def in_memory(images: np.ndarray, labels: np.ndarray) -> Any:
    """Read pictures from memory as torchvision's CIFAR10 does: Pillow, ToTensor, Normalize."""
    from PIL import Image
    from torch.utils.data import Dataset
    from torchvision import transforms

    middle = (0.5, 0.5, 0.5)
    transform: Callable[[Any], Any] = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(middle, middle)]
    )

    class InMemory(Dataset[tuple[Any, int]]):
        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            return transform(Image.fromarray(images[index])), int(labels[index])

    return InMemory()


def tutorial_net() -> Any:
    """Make the tutorial's net; `tests/training/test_models.py` proves that `lenet` is the same."""
    from edgecnn.nets import find_factory
    from edgecnn.recipe import ModelSpec

    return find_factory(ModelSpec("lenet").source).make()


def say(run: Run) -> None:
    """Tell on stderr what a run gave."""
    print(
        f"{run.what}, seed {run.seed}: {100 * run.accuracy:.2f} %, "
        f"{run.cpu_seconds:.1f} CPU-seconds, {run.epochs_cpu_seconds:.1f} in the epochs",
        file=sys.stderr,
    )


def table(result: Result) -> str:
    """Give the runs and their medians as Markdown."""
    lines = [
        "| run | seed | accuracy | CPU-seconds, epochs | CPU-seconds, process | seconds |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {run.what} | {run.seed} | {100 * run.accuracy:.2f} % | {run.epochs_cpu_seconds:.1f} "
        f"| {run.cpu_seconds:.1f} | {run.seconds:.1f} |"
        for run in result.runs
    ]
    return "\n".join([*lines, "", verdict(result)])


def verdict(result: Result) -> str:
    """Say how many times less CPU time the recipe takes, and whether that is enough."""
    by_name = {name: [r for r in result.runs if r.what == name] for name in ("tutorial", "lenet")}

    def ratio(of: Callable[[Run], float]) -> float:
        times = {name: median(map(of, runs)) for name, runs in by_name.items()}
        return times["tutorial"] / times["lenet"]

    epochs, process = ratio(lambda r: r.epochs_cpu_seconds), ratio(lambda r: r.cpu_seconds)
    least = min(run.accuracy for run in by_name["lenet"])
    reached = epochs >= LEAST_RATIO and least >= NEEDED_ACCURACY
    return (
        f"The recipe takes 1/{epochs:.1f} of the tutorial's CPU time in the epochs and "
        f"1/{process:.1f} for the whole process; its least accuracy is {100 * least:.2f} %. "
        f"Required are 1/{LEAST_RATIO} and {100 * NEEDED_ACCURACY:g} %, 1/{AIM} is the aim: "
        f"{'reached' if reached else 'not reached'}. "
        f"{result.machine.cpu}, {result.machine.allowed_cores} cores, "
        f"torch {result.versions['torch']}, {len(by_name['lenet'])} seeds, "
        f"{result.tutorial_epochs} epochs of the tutorial."
    )


if __name__ == "__main__":
    main()
