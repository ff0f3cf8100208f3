"""What a foreign ONNX file may ask for: every number of the gate and of the guarded first load.

Each stands far above what convolutional nets need and far below what hurts a small machine. What
torchvision's nets need stands beside it, as `benchmarks/hostile.py` measures it.
"""

from __future__ import annotations

from edgecnn import machine

MIB, GIB = 1 << 20, 1 << 30

# Protobuf counts a message's bytes in 31 bits: a larger file cannot be a whole one.
FILE_BYTES = 2 * GIB - 1
# While a file is looked at it is in memory up to three times: its bytes, the parsed message, and
# the engine's own weights. A quarter leaves the last quarter to everything else.
MEMORY_SHARE = 4

# Two bytes of a file can become a message of 200 bytes in memory: 500,000 fields take 100 MiB and
# a third of a second to count. Torch's exporter writes 73 for each operator, traces included.
FIELDS = 500_000
# A tensor's dimension lies 7 messages deep; each subgraph would add three.
DEPTH = 16
# Torchvision's largest (efficientnet_v2_l) has 1,004. Each takes 0.1 to 0.3 ms to look at.
NODES = 10_000

# Names end up in tables and messages; exporters write up to 90 characters.
NAME_CHARACTERS = 1_024
# The longest text that an operator needs is an equation.
TEXT_BYTES = 4_096
# Strides, pads, axes, sizes. Slices may end at the largest integer there is, so they are exempt.
SETTING = 2**31

# Arrays that cut windows out of pictures have 6 axes, and ONNX Runtime 8 in most operators.
# Gather can double the rank with each node: without a limit, thirty nodes fill the memory.
RANK = 12
# At batch 1, what must exist at once. Torchvision's largest (efficientnet_b7) needs 28 MiB.
LIVE_BYTES = 1 * GIB
# Shapes are computed from small tensors only; what is larger is data.
VALUE_ELEMENTS = 1_024

# The first load, and the first run, each, in a process of its own on one thread. The slowest of
# torchvision's (efficientnet_v2_l) took 30 s for both where five others shared each core.
FIRST_LOAD_SECONDS = 120.0
# Beyond the weights, which an engine holds up to three times while it packs them anew.
FIRST_LOAD_BYTES = 2 * LIVE_BYTES
WEIGHT_COPIES = 4


class Refusal(Exception):
    """Why a file is refused, without its name.

    Args:
        reason: The end of the sentence that begins with the file's name.
        remedy: What to do; empty for the usual advice.
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy


def largest_file() -> int:
    """Give the size in bytes above which a file is not read on this machine."""
    memory = machine.granted_memory()
    return min(FILE_BYTES, memory // MEMORY_SHARE) if memory else FILE_BYTES


def largest_weights() -> int:
    """Give the bytes of weights, inside the file and beside it, that this machine can take."""
    memory = machine.granted_memory()
    return memory // MEMORY_SHARE if memory else FILE_BYTES


def size_text(count: int) -> str:
    """Write a number of bytes in words.

    >>> [size_text(count) for count in (12, 3 << 20, 5 << 30, 1 << 50)]
    ['12 bytes', '3 MiB', '5 GiB', '1,048,576 GiB']
    """
    for unit, name in ((GIB, "GiB"), (MIB, "MiB")):
        if count >= unit:
            size = count / unit
            return f"{size:,.0f} {name}" if size >= 100 else f"{size:.3g} {name}"
    return f"{count} bytes"


def shown(name: object) -> str:
    r"""Quote a foreign name for a message: short, and without what would steer a terminal.

    >>> print(shown("conv1"), shown("a\x1b[2J"), shown("x" * 99)[-4:])
    'conv1' 'a\x1b[2J' xxx'
    """
    text = name if isinstance(name, str) else str(name)
    return ascii(text if len(text) <= 60 else f"{text[:28]}...{text[-28:]}")
