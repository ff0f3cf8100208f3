"""What `export` and `quantize` share: the options about int8, and how it is shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgecnn.cli._durations import to_seconds
from edgecnn.cli._options import stop_unless_passed
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.agreement import Agreement
    from edgecnn.benchmark import LatencyComparison
    from edgecnn.evaluation import PairedAccuracy
    from edgecnn.exporting.half import HalfReport
    from edgecnn.quantization import QuantizeReport, Side

Command = TypeVar("Command", bound=Callable[..., Any])


def parse_points(text: str) -> float:
    """Read a loss of accuracy in percentage points, such as `0.5pp`, as a share of 1.

    Raises:
        ValueError: It is not written so.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*pp", text.strip())
    if found is None:
        raise ValueError(f"'{text}' is no number of points; write 0.5pp, for example.")
    return float(found[1]) / 100


def parse_decibels(text: str) -> float:
    """Read a ratio in decibels, such as `20dB`.

    Raises:
        ValueError: It is not written so.
    """
    found = re.fullmatch(r"(-?(?:\d+(?:\.\d*)?|\.\d+))\s*dB", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f"'{text}' is no number of decibels; write 20dB, for example.")
    return float(found[1])


def int8_options(command: Command) -> Command:
    """Add the options about quantizing: keywords of `edgecnn.quantize`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def print_int8(report: QuantizeReport) -> None:
    """Print fp32 beside int8, and whether int8 is worth having."""
    from rich.markup import escape

    from edgecnn.cli._show import table

    fp32, int8 = report.fp32, report.int8
    rows = [
        *(_accuracy(fp32, int8, report.paired) or _agreement(report.agreement)),
        *_costs(fp32, int8, report.latency),
    ]
    images = f"{report.test_images:,} test images of {escape(report.data)}"
    if report.paired is None:
        images = "golden images" if not report.stand_in else "golden (stand-in) images"
    table(f"fp32 and int8 on {images}", ("", escape(fp32.variant), escape(int8.variant)), rows)
    for sentence in _sentences(report):
        say(sentence)
    # Its outcome is of int8's worth; "fail" beside exit code 0 would look like a gate.
    say(f"Verdict: {' '.join(report.verdict.reasons)}")


def print_fp16(report: HalfReport) -> None:
    """Print fp32 beside fp16, and whether fp16 is worth having here."""
    from rich.markup import escape

    from edgecnn.cli._show import table

    rows = [
        *_accuracy(report.fp32, report.fp16, report.paired),
        *_agreement(report.agreement),
        *_costs(report.fp32, report.fp16, report.latency),
    ]
    head = f"fp32 and fp16 on {report.test_images:,} test images of {escape(report.data)}"
    table(head, ("", escape(report.fp32.variant), escape(report.fp16.variant)), rows)
    say(f"Verdict: {' '.join(report.verdict.reasons)}")


def _costs(first: Side, second: Side, latency: LatencyComparison) -> list[tuple[str, str, str]]:
    from edgecnn.cli._show import microseconds, size

    return [
        ("size", size(first.size), size(second.size)),
        ("  ratio", "", f"{second.size / first.size:.2f}"),
        ("latency", microseconds(first.median_seconds), microseconds(second.median_seconds)),
        ("  ratio", "", _ratio(latency)),
        ("  noise floor", "", f"{100 * latency.noise_floor:.1f} %"),
    ]


def _sentences(report: QuantizeReport) -> Iterator[str]:
    from edgecnn.quantization.saturation import statement

    if report.choices is not None:
        yield report.choices.reason
    if report.spread is not None:
        yield str(report.spread)
    if report.bit_exact:
        yield f"Every CPU gives the same answers with {report.int8.variant}, bit for bit."
    elif report.at_risk:
        names = ", ".join(report.at_risk)
        yield f"Answers may differ on {names}, where sums of two products may saturate."
    if report.saturation is not None:
        yield statement(report.saturation)


def stop_at_gate(report: QuantizeReport) -> None:
    """Raise what `--max-drop` and `--min-sqnr` mean for the exit code; nothing without them."""
    if report.gate is not None:
        stop_unless_passed(
            report.gate, f"Keep {report.fp32.variant}, {_softer(report)}, or test on more."
        )


def _softer(report: QuantizeReport) -> str:
    named = ["a larger --max-drop"] if report.max_drop is not None else []
    named += ["a smaller --min-sqnr"] if report.min_sqnr is not None else []
    return f"allow {' or '.join(named)}"


def _accuracy(
    first: Side, second: Side, paired: PairedAccuracy | None
) -> list[tuple[str, str, str]]:
    from edgecnn.cli._show import percent

    if first.accuracy is None or second.accuracy is None or paired is None:
        return []
    both = (first.accuracy, second.accuracy)
    low, high = (f"{percent(each.low)} to {percent(each.high)}" for each in both)
    return [
        ("accuracy", percent(both[0].estimate), percent(both[1].estimate)),
        ("  95 % interval", low, high),
        ("same answer as fp32", "", percent(paired.same)),
    ]


def _agreement(agreement: Mapping[str, Agreement]) -> list[tuple[str, str, str]]:
    from rich.markup import escape

    return [
        (f"SQNR of {escape(name)}", "", f"{found.sqnr_db:.1f} dB")
        for name, found in agreement.items()
    ]


def _ratio(latency: LatencyComparison) -> str:
    high = "?" if latency.high is None else f"{latency.high:.2f}"
    return f"{latency.ratio:.2f} ({latency.low:.2f} to {high})"


def _read_by(
    parse: Callable[[str], float],
) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    def read(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return read


_OPTIONS = (
    click.option(
        "--cpu",
        metavar="NAME,…",
        help="CPUs that int8 will meet, such as auto (this one) or avx2,vnni,arm64; it is made "
        "safe on all of them.  [default: any]",
    ),
    click.option(
        "--scheme",
        metavar="NAME",
        help="Number formats instead of those that suit the CPUs: u8s8-7bit, u8s8, u8u8 or s8s8, "
        "or fastest to measure.",
    ),
    click.option(
        "--calibration",
        metavar="NAME,…",
        help="How ranges are taken: minmax, percentile-99.99, entropy, mse, …; several are "
        "compared on selection images.",
    ),
    click.option(
        "--calibration-samples",
        type=click.IntRange(min=1),
        help="Training images that set the ranges of int8.  [default: 512]",
    ),
    click.option(
        "--selection-samples",
        type=click.IntRange(min=1),
        help="Training images that candidates are compared on.  [default: 1024, or 4096 if mixed]",
    ),
    click.option(
        "--calibration-resamples",
        type=click.IntRange(min=1),
        metavar="K",
        help="Repeat with K other draws of calibration images, and say how far results spread.",
    ),
    click.option(
        "--mixed/--no-mixed",
        default=False,
        help="Leave in float the layers that int8 hurts most, until --max-drop passes or int8 is "
        "no longer significantly worse than fp32.",
    ),
    click.option(
        "--max-drop",
        callback=_read_by(parse_points),
        metavar="POINTS",
        help="Largest loss of accuracy allowed to int8, such as 0.5pp: exit code 1 beyond it.",
    ),
    click.option(
        "--min-sqnr",
        callback=_read_by(parse_decibels),
        metavar="DECIBELS",
        help="Least distance (SQNR) from the answers of fp32, such as 20dB, for outputs of any "
        "kind: exit code 1 below it.",
    ),
    click.option(
        "--duration",
        callback=to_seconds,
        metavar="TIME",
        help="Time for measuring the latency of int8; opening and warm-up come on top.  "
        "[default: 3s]",
    ),
)
