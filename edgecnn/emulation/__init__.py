"""What another CPU answers: the golden vectors, run by this Python under qemu-user.

Only the CPU is another one: qemu translates its instructions, and ONNX Runtime chooses its kernels
for what it finds. Times mean nothing there.
"""

from edgecnn.emulation.qemu import Emulator, emulator_for
from edgecnn.emulation.report import EmulatedVariant, EmulationReport, raise_unless_alike
from edgecnn.emulation.run import parity_as

__all__ = [
    "EmulatedVariant",
    "EmulationReport",
    "Emulator",
    "emulator_for",
    "parity_as",
    "raise_unless_alike",
]
