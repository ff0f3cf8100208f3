"""A net, its golden inputs and its answers as one C program that needs nothing else."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgecnn.codegen.writing.numbers import array, literal
from tests.codegen.compiled import WARNINGS, run_ort, write_net
from tests.codegen.graphs import QuantizedNet, residual_block

# C programs of these tests.
PROGRAMS = Path(__file__).parent / "c"
_GOLDEN = """\
enum {{ IMAGES = {images}, INPUT = {input}, OUTPUT = {output}, EXACT = {exact} }};
static const float tolerance = {tolerance};
static const float images[IMAGES * INPUT] = {{
{image_numbers}
}};
static const float answers[IMAGES * OUTPUT] = {{
{answer_numbers}
}};
"""


@dataclass(frozen=True)
class Standalone:
    """A program to be compiled: golden.c, with a net and its answers.

    Attributes:
        folder: Where net.c, net.h and golden.h lie.
    """

    folder: Path

    def compile(self, command: Sequence[str], program: Path) -> str:
        """Compile with a command, such as `gcc -O2`; a warning is an error.

        Returns:
            What the compiler complains about; nothing, if it made the program.
        """
        line = [*command, *WARNINGS, f"-I{self.folder}", "-o", str(program)]
        line += [str(self.folder / "net.c"), str(PROGRAMS / "golden.c")]
        done = subprocess.run(line, capture_output=True, text=True)
        assert (done.returncode == 0) == (not done.stderr), done.stderr[:4000]
        return done.stderr[:4000]

    def check(self, command: Sequence[str], program: Path, emulator: Sequence[str] = ()) -> None:
        """Compile and run; the answers must be the golden ones."""
        assert self.compile(command, program) == ""
        done = subprocess.run([*emulator, str(program)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-4000:])


def write_standalone(
    model: onnx.ModelProto, images: NDArray[Any], folder: Path, *, exact: str, tolerance: float
) -> Standalone:
    """Write a net as a program, with the answers of ONNX Runtime.

    Args:
        model: With one float input.
        images: [n, 1, C, H, W].
        folder: Where to.
        exact: The first output, which must be equal to the bit.
        tolerance: How far the others may be off, by the largest number of each image.
    """
    made = write_net(model, folder)
    assert made.weights is None
    name = model.graph.input[0].name
    answers = [run_ort(model, {name: image}) for image in images]
    numbers = np.stack([np.concatenate([*map(np.ravel, each.values())]) for each in answers])
    assert next(iter(answers[0])) == exact
    text = _GOLDEN.format(
        images=len(images),
        input=images[0].size,
        output=numbers.shape[1],
        exact=answers[0][exact].size,
        tolerance=literal(tolerance, "float"),
        image_numbers=array(images),
        answer_numbers=array(numbers),
    )
    (folder / "golden.h").write_text(text)
    return Standalone(folder)


def write_every_kind(folder: Path) -> Standalone:
    """Write a small net of every kind of layer, with an int8 and an fp32 branch."""
    net = QuantizedNet((1, 3, 11, 13))
    one = residual_block(net, net.conv(net.first, 12, strides=[2, 2]), 12)
    two = net.max_pool(net.conv(one, 12, group=12))
    exact = net.dense(net.mean(net.conv(two, 21, kernel=1)), 7, 21, quantized=False)
    model = net.model(exact, _floats(net))
    # fp32 sums are added in another order on each core.
    return write_standalone(model, net.images(4), folder, exact=exact, tolerance=1e-5)


def _floats(net: QuantizedNet) -> str:
    random = np.random.default_rng(2)

    def weights(*shape: int) -> list[str]:
        spread = np.sqrt(2 / np.prod(shape[1:]))
        numbers = random.normal(size=shape) * spread, random.normal(size=shape[0])
        return [net.constant(each.astype(np.float32)) for each in numbers]

    one = net.node("Relu", [net.node("Conv", ["image", *weights(20, 3, 3, 3)], pads=[1] * 4)])
    one = net.node("MaxPool", [one], kernel_shape=[3, 3], strides=[2, 2])
    two = net.node("Conv", [one, *weights(9, 20, 3, 3)], dilations=[2, 2], pads=[2] * 4)
    return net.node("Gemm", [net.node("Flatten", [two]), *weights(5, 9 * 5 * 6)], transB=1)


def needs(packages: Mapping[str, str]) -> pytest.MarkDecorator:
    """Skip a test where programs are missing, with the line that installs them.

    Args:
        packages: By program.
    """
    missing = [package for program, package in packages.items() if shutil.which(program) is None]
    reason = f"Not installed: `apt-get install {' '.join(missing)}`."
    return pytest.mark.skipif(bool(missing), reason=reason)
