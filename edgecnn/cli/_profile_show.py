"""What `edgecnn profile` prints of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.profiling import (
        Inserted,
        OperatorProfile,
        Peak,
        Peaks,
        ProfileReport,
        Unfused,
        VariantProfile,
    )


def print_profile(report: ProfileReport, top: int) -> None:
    """Print a profile: the roofs, then each variant's costliest operators and what stands out."""
    _print_setup(report)
    _print_peaks(report.peaks)
    for each in report.variants:
        _print_variant(each, top)


def _print_setup(report: ProfileReport) -> None:
    from edgecnn.cli._show import facts
    from edgecnn.options import computing

    setup, peaks = report.setup, report.peaks
    versions = ", ".join(f"{name} {number}" for name, number in setup.versions.items())
    threads = "1 thread" if setup.threads == 1 else f"{setup.threads} threads"
    how = ", ".join(filter(None, (threads, computing(setup.precision, setup.options))))
    facts(
        (
            ("CPU", peaks.cpu),
            ("runtime", f"{setup.runtime} ({versions}) on {setup.provider}, {how}"),
            ("inputs", setup.images),
        )
    )
    say("")


def _print_peaks(peaks: Peaks) -> None:
    from edgecnn.cli._show import table

    when = f"on {peaks.measured[:10]}, kept" if peaks.cached else "just now"
    table(
        f"This machine's peaks, measured {when}",
        ("", "best", "median below", "measured with"),
        [
            *(_peak_row(each, "Gop/s") for each in peaks.arithmetic),
            *(_peak_row(each, "GB/s") for each in peaks.memory),
        ],
        caption=f"An operator that does nothing takes {_us(peaks.dispatch_seconds)} µs, a call of "
        f"an empty model {_us(peaks.call_seconds)} µs.",
    )


def _peak_row(peak: Peak, unit: str) -> tuple[str, ...]:
    return (
        peak.what,
        f"{_digits(peak.rate / 1e9)} {unit}",
        f"{100 * peak.spread:.0f} %",
        peak.how,
    )


def _print_variant(profile: VariantProfile, top: int) -> None:
    from edgecnn.cli._show import table

    rows = list(_rows(profile, top))
    table(
        f"{profile.variant}: {_us(profile.latency_seconds)} µs a run",
        ("layers", "operator", "µs", "share", "bound by", "reached", "of peak"),
        rows,
        left=2,
        caption=_caption(profile),
    )
    if profile.inserted:
        _print_list("The runtime added:", map(_inserted, profile.inserted))
    _print_list("In float although the model is quantized:", map(_unfused, profile.unfused))
    if profile.removed:
        _print_list("Layers that need no operator:", [", ".join(profile.removed)])
    _print_list("What would help:", profile.advice)


def _rows(profile: VariantProfile, top: int) -> Iterator[tuple[str, ...]]:
    costly = sorted(profile.operators, key=lambda each: -each.seconds)
    shown = set(map(id, costly[: top or len(costly)]))
    for each in profile.operators:
        if id(each) in shown:
            yield _row(each)
    others = [each for each in profile.operators if id(each) not in shown]
    latency = profile.latency_seconds
    for name, seconds in (
        (f"{len(others)} other operators", sum(each.seconds for each in others)),
        ("Python and the engine", profile.call_seconds),
        ("not attributed", profile.unattributed_seconds),
    ):
        if others or not name.endswith("other operators"):
            yield f"[dim]{name}[/]", "", _us(seconds), _percent(seconds / latency), "", "", ""


def _row(each: OperatorProfile) -> tuple[str, ...]:
    from rich.markup import escape

    layers = " + ".join(each.layers)
    return (
        escape(layers) if layers else f"[italic]added: {escape(each.name)}[/]",
        escape(each.operator.rpartition(":")[2]),
        _us(each.seconds),
        _percent(each.share),
        each.bound,
        _percent(each.reached),
        "" if each.peak_share is None else _percent(each.peak_share),
    )


def _caption(profile: VariantProfile) -> str:
    bounds = ", ".join(
        f"{name} {_percent(seconds / profile.latency_seconds)}"
        for name, seconds in sorted(profile.bounds.items(), key=lambda pair: -pair[1])
        if seconds
    )
    return f"Bound by: {bounds}. {_HOW[profile.timing].format(_us(profile.clock_seconds))}"


_HOW = {
    "prefixes": "Operators were timed by running the graph up to each of them, without a profile.",
    "profile": "Operators were timed by the runtime's profile, whose clock ticks in µs; the {} µs "
    "that it adds to each are taken off.",
}


def _inserted(each: Inserted) -> str:
    why = f": {each.why}" if each.why else ""
    return f"{each.count} {each.operator}, {_us(each.seconds)} µs{why}."


def _unfused(each: Unfused) -> str:
    return f"{each.layer} ({each.operator}, {_us(each.seconds)} µs): {each.reason}."


def _print_list(title: str, texts: Sequence[str] | Iterator[str]) -> None:
    lines = list(texts)
    if lines:
        say(title)
        say("\n".join(f"- {text}" for text in lines) + "\n")


def _us(seconds: float) -> str:
    return _digits(seconds * 1e6)


def _digits(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"
