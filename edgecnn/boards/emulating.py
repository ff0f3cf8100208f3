"""A board's program, run by qemu: a session like any other, which counts."""

from __future__ import annotations

import math
import struct
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.boards.building import Image
from edgecnn.boards.cores import Board
from edgecnn.boards.tools import Tools
from edgecnn.errors import RuntimeCrashed
from edgecnn.spec import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

# As in runtimes/c/boards/run.c and start.c.
_CALIBRATION = 1 << 23
_FIGURES = struct.Struct("<4I")
_MEANINGS = {70: "the core ended in a fault", 71: "it cannot read its image or write its answer"}


@dataclass(frozen=True)
class Count:
    """What one image took.

    Attributes:
        instructions: Of one call of the net, as qemu counts them.
        stack: Bytes of stack that the call used.
    """

    instructions: float
    stack: int


class BoardSession:
    """A net on an emulated board.

    Attributes:
        counts: What each image took, in the order in which they were run.
    """

    provider: str

    def __init__(self, image: Image, board: Board, tools: Tools, seconds: float) -> None:
        self.provider = board.name
        self.inputs: tuple[TensorSpec, ...] = (image.input,)
        self.outputs = image.outputs
        self.counts: list[Count] = []
        self._image, self._seconds = image, seconds
        self._command = [tools.emulator, "-M", board.machine, "-kernel", str(image.file)]
        self._command += ["-nographic", "-monitor", "none", "-serial", "none"]
        self._command += ["-semihosting-config", "enable=on,target=native"]
        self._command += ["-icount", "shift=0,sleep=off"]

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs of one image, by name.

        Raises:
            RuntimeCrashed: The emulated core faulted, or it takes too long.
        """
        folder = self._image.file.parent
        (folder / "input").write_bytes(np.ascontiguousarray(inputs[self.inputs[0].name]).tobytes())
        self._emulate()
        stack, low, high, calibration = _FIGURES.unpack((folder / "figures").read_bytes())
        ticks = low + (high << 32)
        self.counts.append(Count(ticks * _CALIBRATION / calibration, stack))
        return self._parted(np.fromfile(folder / "output", "<f4"))

    def prepare(self, inputs: Arrays) -> Callable[[], object]:
        """Give the call on these inputs."""
        return partial(self.run, inputs)

    def close(self) -> None:
        """Nothing is held between two images."""

    def _emulate(self) -> None:
        where = f"The program on {self.provider}"
        try:
            done = subprocess.run(
                self._command,
                cwd=self._image.file.parent,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=self._seconds,
            )
        except subprocess.TimeoutExpired:
            raise RuntimeCrashed(
                f"{where} has no answer after {self._seconds:g} s.", "Name a smaller net."
            ) from None
        if done.returncode:
            said = (done.stderr.splitlines() or [f"qemu ended with {done.returncode}"])[0]
            meaning = _MEANINGS.get(done.returncode, said.rstrip("."))
            raise RuntimeCrashed(
                f"{where} failed: {meaning}.", "Make the variant anew; if it stays so, report it."
            )

    def _parted(self, whole: NDArray[Any]) -> dict[str, NDArray[np.generic]]:
        found: dict[str, NDArray[np.generic]] = {}
        place = 0
        for spec in self.outputs:
            shape = [int(axis) for axis in spec.shape]
            found[spec.name] = whole[place : place + math.prod(shape)].reshape(shape)
            place += math.prod(shape)
        return found
