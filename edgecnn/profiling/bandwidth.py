"""How fast memory of each level is read and written by so many threads.

Each thread adds two arrays into a third (STREAM's kernel ADD: J. D. McCalpin, Memory bandwidth and
machine balance in current high performance computers, IEEE TCCA Newsletter, 1995), again and again
without leaving NumPy's loop: the outer axis of what it adds has stride 0. Bytes are counted as
STREAM does, two reads and one write, without the read that a write may cost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from threading import Barrier
from typing import TYPE_CHECKING, Any

from edgecnn.machine import granted_memory
from edgecnn.profiling.caches import Cache, read_caches
from edgecnn.profiling.report import Peak

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ARRAYS, _ITEM = 3, 4
_ROUNDS, _ROUND_SECONDS = 9, 0.012
_GUESSED_RATE = 5e10
_DRAM_OVER_CACHE, _LEAST_DRAM, _MOST_DRAM = 4, 64 << 20, 1 << 30


def memory_peaks(threads: int, caches: Sequence[Cache] | None = None) -> tuple[Peak, ...]:
    """Measure each level of memory from the second cache on, the smallest first.

    The first cache is too fast to be seen from here. A level's figure is the best of some rounds,
    with half of the level's room in use; of DRAM, four times the last cache.
    """
    levels = [each for each in (read_caches() if caches is None else caches) if each.level > 1]
    return tuple(_peaks(threads, levels))


def _peaks(threads: int, levels: Sequence[Cache]) -> Iterator[Peak]:
    last = 0
    for cache in levels:
        last = cache.room(threads)
        yield _peak(f"L{cache.level}", last // 2, threads, holds=last)
    most = min(_MOST_DRAM, granted_memory() // 8 or _MOST_DRAM)
    total = min(most, max(_LEAST_DRAM, _DRAM_OVER_CACHE * last))
    yield _peak("DRAM", total, threads, holds=0)


def _peak(what: str, total: int, threads: int, holds: int) -> Peak:
    rates = _rates(total // threads, threads)
    best = max(rates)
    kind = f"a + b into c, {total / 1e6:,.1f} MB in all"
    return Peak(what, best, 1 - median(rates) / best, kind, holds)


def _rates(each: int, threads: int) -> list[float]:
    """Give bytes per second of all threads together, round by round."""
    length = max(1, each // (_ARRAYS * _ITEM))
    moved = _ARRAYS * _ITEM * length
    repeats = max(1, int(_ROUND_SECONDS * _GUESSED_RATE / moved))
    start = Barrier(threads)

    def work(_: int) -> list[tuple[float, float]]:
        first, second, into = (_repeated(length, repeats) for _ in range(_ARRAYS))
        return [_timed(start, first, second, into) for _ in range(_ROUNDS + 1)]

    with ThreadPoolExecutor(threads) as pool:
        spans = list(pool.map(work, range(threads)))
    rounds = list(zip(*spans, strict=True))[1:]  # in the first one pages are still being mapped
    return [
        threads * repeats * moved / (max(end for _, end in one) - min(begun for begun, _ in one))
        for one in rounds
    ]


def _timed(start: Barrier, first: Any, second: Any, into: Any) -> tuple[float, float]:
    import numpy as np

    start.wait()
    begun = time.perf_counter()
    np.add(first, second, out=into)
    return begun, time.perf_counter()


def _repeated(length: int, repeats: int) -> NDArray[np.float32]:
    """Give an array that shows the same numbers again and again, without copies of them."""
    import numpy as np
    from numpy.lib.stride_tricks import as_strided

    array: NDArray[np.float32] = np.ones(length, np.float32)
    return as_strided(array, (repeats, length), (0, _ITEM))
