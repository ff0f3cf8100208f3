"""Plain C from a graph: graph, layers, buffers, kernels, text.

    reading     an ONNX file becomes a graph for one image, with constants folded and shapes known
    lowering    the graph becomes layers: calls of kernels, with weights as these want them
    winograd    3 x 3 windows of floats are convolved with fewer products
    fusing      max pools become part of the convolutions before them
    separating  copies are put where one buffer cannot serve all who read it
    planning    each tensor gets its place in one block of memory
    writing     layers and places become a .c and a .h file

The kernels themselves are C files, given as a folder.
"""

from __future__ import annotations

from edgecnn.codegen.generating import Generated, generate

__all__ = ["Generated", "generate"]
