"""A net in C on emulated microcontrollers: what it answers there, and what it needs.

    cores      the boards, and the compiler's flags for their cores
    tools      the compiler and the emulator, and where to get them
    building   a program for one board, with the net in it, and the sizes of its parts
    emulating  the program run by qemu: an image in, an answer and counts out
    report     what was found
    run        a bundle's golden images on some boards

What is compiled for the boards, and their memory, lies in the folder `boards` of the runtime `c`.
qemu counts instructions; a real core takes one cycle for some and many for others, and waits for
its memory. So nothing here says how long a net takes on a device.
"""

from edgecnn.boards.cores import BOARDS, Board, find_boards
from edgecnn.boards.report import BoardReport, BoardRow, raise_unless_right
from edgecnn.boards.run import bench_boards

__all__ = [
    "BOARDS",
    "Board",
    "BoardReport",
    "BoardRow",
    "bench_boards",
    "find_boards",
    "raise_unless_right",
]
