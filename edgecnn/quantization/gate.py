"""Whether int8 loses no more than is allowed, at the worse end of what the images can tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgecnn.evaluation import PairedAccuracy
from edgecnn.spec import Verdict
from edgecnn.stats import images_to_settle, smallest_provable_drop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.quantization.saturation import SaturationReport

_RESAMPLES = 2000
# Answers that int8 changes from right to wrong or back, of all; 1 to 3 % on nets seen so far.
_USUAL_SHARE = 0.01


def judge_drop(paired: PairedAccuracy, max_drop: float, images: int) -> Verdict:
    """Hold a loss of accuracy against what is allowed, at the worse end of its interval.

    Args:
        paired: fp32 and int8 on the same images.
        max_drop: Largest loss allowed; 0.005 is half a point.
        images: How many there were.
    """
    drop, allowed = paired.drop, f"the {points(max_drop)} points allowed"
    seen = f"{paired.second} {loses(drop.estimate)}"
    if drop.high <= max_drop:
        bound = f"it loses at most {points(drop.high)} with 95 % confidence"
        return Verdict("pass", (f"{seen}; {bound}, within {allowed}.",))
    if drop.low > max_drop:
        bound = f"it loses at least {points(drop.low)} with 95 % confidence"
        return Verdict("fail", (f"{seen}; {bound}, more than {allowed}.",))
    return Verdict(
        "inconclusive",
        (
            f"{seen}, and {images:,} images cannot tell whether that is within {allowed}: the "
            f"95 % interval of the loss is {points(drop.low)} to {points(drop.high)}. "
            f"{_more_images(paired, max_drop, images)}",
        ),
    )


def judge_sqnr(
    signal: NDArray[np.float64], noise: NDArray[np.float64], min_sqnr_db: float, name: str
) -> Verdict:
    """Hold the distance from fp32 against what is wanted, where outputs are no classes.

    The interval is a percentile bootstrap over images, 95 % at each end.

    Args:
        signal: Sum of the squares of what fp32 answers to each image; float64 [N].
        noise: Sum of the squares of int8's difference from it; float64 [N].
        min_sqnr_db: Least signal-to-quantization-noise ratio wanted, in dB.
        name: What the int8 variant is called.
    """
    low, middle, high = _sqnr_interval(signal, noise)
    seen = f"{name} lies {middle:.1f} dB (SQNR) from fp32 on {len(signal):,} images"
    wanted = f"the {min_sqnr_db:g} dB wanted"
    if low >= min_sqnr_db:
        return Verdict("pass", (f"{seen}: at least {low:.1f} with 95 % confidence, of {wanted}.",))
    if high < min_sqnr_db:
        bound = f"at most {high:.1f} with 95 % confidence"
        return Verdict("fail", (f"{seen}: {bound}, less than {wanted}.",))
    ends = f"the 95 % interval is {low:.1f} to {high:.1f}"
    return Verdict(
        "inconclusive", (f"{seen}, which cannot tell whether it reaches {wanted}: {ends}.",)
    )


def worst_of(verdicts: Sequence[Verdict]) -> Verdict | None:
    """Put gates together: as good as the worst of them; None if there is none."""
    if not verdicts:
        return None
    outcomes = [each.outcome for each in verdicts]
    worst = next(each for each in ("fail", "inconclusive", "pass") if each in outcomes)
    first = sorted(verdicts, key=lambda each: each.outcome != worst)
    return Verdict(worst, tuple(reason for each in first for reason in each.reasons))


def on_other_cpus(verdict: Verdict, replayed: SaturationReport, at_risk: Sequence[str]) -> Verdict:
    """Let nothing pass for CPUs on which a replay of what saturates changes answers.

    Args:
        verdict: What was found on this CPU.
        replayed: What the replay found.
        at_risk: Names of these CPUs.
    """
    other = replayed.changed if replayed.flips is None else replayed.flips
    if not other:
        return verdict
    what = "answer" if replayed.flips is None else "class"
    reason = (
        f"That is so on CPUs that multiply exactly; on {', '.join(at_risk)} {other:,} of "
        f"{replayed.images:,} images get another {what}, which no figure here includes."
    )
    outcome = "inconclusive" if verdict.outcome == "pass" else verdict.outcome
    return Verdict(outcome, (*verdict.reasons, reason))


def what_can_be_proved(images: int, max_drop: float) -> str:
    """Say, before anything is quantized, how small a loss so many images can rule out.

    Args:
        images: Test images.
        max_drop: Largest loss allowed; 0.005 is half a point.
    """
    best = smallest_provable_drop(images, 0)
    usual = smallest_provable_drop(images, _USUAL_SHARE)
    text = (
        f"{images:,} test images can rule out a loss of {points(best)} points if no answer "
        f"changes, and of {points(usual)} if one in a hundred does."
    )
    if usual <= max_drop:
        return text
    half = _USUAL_SHARE / 2
    needed = images_to_settle(half * images, half * images, images, max_drop)
    enough = "no number of images can" if needed is None else f"{needed:,} images could"
    if best > max_drop:
        return f"{text} They cannot prove that it is within {points(max_drop)}; {enough}."
    return f"{text} To prove {points(max_drop)} then, {enough}."


def points(share: float) -> str:
    """Write a share of 1 as points: 0.005 is `0.50`."""
    return f"{100 * share:.2f}"


def loses(drop: float) -> str:
    """Say what a loss of accuracy is: `loses 0.50 points`, or `gains`."""
    return f"{'loses' if drop >= 0 else 'gains'} {points(abs(drop))} points"


def _more_images(paired: PairedAccuracy, max_drop: float, images: int) -> str:
    needed = images_to_settle(paired.only_first, paired.only_second, images, max_drop)
    if needed is None:
        return "What was seen lies so near to it that no number of images would settle it."
    return f"About {needed - images:,} more such images would settle it."


def _sqnr_interval(
    signal: NDArray[np.float64], noise: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Give the lower end, the estimate and the upper end in dB."""
    import numpy as np

    picks = np.random.default_rng(0).integers(0, len(signal), (_RESAMPLES, len(signal)))
    drawn = _sqnr_db(signal[picks].sum(axis=1), noise[picks].sum(axis=1))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(_sqnr_db(signal.sum(), noise.sum())), float(high)


def _sqnr_db(signal: Any, noise: Any) -> Any:
    import numpy as np

    # Equal answers are given a noise that no float32 could show.
    return 10 * np.log10(np.maximum(signal, 1e-30) / np.maximum(noise, 1e-30))
