"""Max pools in the convolutions before them: only the largest sums are scaled, clipped and stored.

Scaling, clipping and rounding keep the order of sums, so the result is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgecnn.codegen.program import NO_PADS, Layer, Program

_POOLS = {"conv_f32": "max_pool_f32", "conv_u8": "max_pool_u8"}


def fuse_pools(program: Program) -> Program:
    """Give each convolution the pool behind it, or one of a single pixel; that pool goes."""
    return replace(program, layers=tuple(_fused(program)))


def _fused(program: Program) -> Iterator[Layer]:
    gone = set()
    for layer in program.layers:
        if layer.kernel not in _POOLS:
            if layer not in gone:
                yield layer
            continue
        pool = _pool_behind(program, layer)
        if pool is None:
            yield replace(layer, shape={**layer.shape, "pool_rows": 1, "pool_columns": 1})
            continue
        gone.add(pool)
        sizes = {name: pool.shape[name] for name in ("height", "width")}
        sizes |= {"pool_rows": pool.shape["rows"], "pool_columns": pool.shape["columns"]}
        yield replace(layer, writes=pool.writes, shape={**layer.shape, **sizes})


def _pool_behind(program: Program, layer: Layer) -> Layer | None:
    """Give the pool that alone reads what a layer makes, if its windows lie side by side."""
    made = layer.writes
    readers = [
        each for each in program.layers for read in each.reads if read.tensor.memory is made.memory
    ]
    if len(readers) != 1 or made in program.outputs or readers[0].kernel != _POOLS[layer.kernel]:
        return None
    (pool,) = readers
    shape = pool.shape
    whole = (
        (shape["rows"], shape["columns"]) == (shape["stride_y"], shape["stride_x"])
        and shape["dilation_y"] == shape["dilation_x"] == 1
        and shape["top"] == shape["left"] == 0
        and shape["height"] * shape["rows"] <= made.height
        and shape["width"] * shape["columns"] <= made.width
    )
    return pool if whole and pool.reads[0].pads == NO_PADS else None
