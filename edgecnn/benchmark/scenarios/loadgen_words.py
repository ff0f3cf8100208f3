"""LoadGen's results in sentences, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.benchmark.estimate import LEAST_FLOOR
from edgecnn.benchmark.scenarios.loadgen import Agreement, LoadGenResult
from edgecnn.stats import Interval


def sentences(found: LoadGenResult, noise_floor: float | None) -> Iterator[str]:
    """Say of one result what its figures do not: terms, reasons and agreement, without full stops.

    Args:
        found: The result.
        noise_floor: The bench's, as a share; None if the bench is not valid.
    """
    what = f"{found.variant}, {found.scenario}"
    if found.rate and found.bound_seconds:
        rate = f"{found.rate:,.0f}" if found.rate >= 100 else f"{found.rate:.3g}"
        bound = f"{1e3 * found.bound_seconds:.3g} ms"
        yield f"{what}: {rate} samples a second on average, at random, 99 in 100 due within {bound}"
    if not found.valid:
        runs = sum(not turn.log.valid for turn in found.turns)
        reasons = "; ".join(found.reasons)
        yield f"{what}: LoadGen says INVALID of {runs} of {len(found.turns)} runs: {reasons}"
    if found.agreement:
        yield f"{what}: {_agreement(found.agreement, noise_floor)}"


def _agreement(found: Agreement, noise_floor: float | None) -> str:
    return (
        f"LoadGen's median {_judged(found.ratio, noise_floor)}, over steady calls of the same "
        f"sessions; without the {found.empty_seconds * 1e6:.1f} µs of LoadGen's way into Python it "
        f"{_judged(found.net_ratio, noise_floor)}; inside its callback a call took "
        f"{found.call_seconds * 1e6:,.1f} µs, a steady one {found.own_seconds * 1e6:,.1f} µs"
    )


def _judged(ratio: Interval, noise_floor: float | None) -> str:
    figures = f"(ratio {ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}])"
    if noise_floor is None:
        return f"cannot be judged, as this bench is not valid {figures}"
    limit = max(noise_floor, LEAST_FLOOR)
    floor = f"the noise floor of {100 * limit:.1f} %"
    if abs(ratio.estimate - 1) <= limit:
        return f"agrees within {floor} {figures}"
    return f"differs by {100 * (ratio.estimate - 1):+.1f} %, more than {floor} {figures}"
