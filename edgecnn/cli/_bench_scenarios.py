"""What `bench` measures beyond the steady state: the options, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgecnn.cli._durations import to_seconds
from edgecnn.cli._options import names, not_empty
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.benchmark import BenchReport
    from edgecnn.benchmark.scenarios import Arrival, LoadGenTest, ScenarioReport, Wanted
    from edgecnn.stats import Interval

Command = TypeVar("Command", bound=Callable[..., Any])
Found = TypeVar("Found")


def scenario_options(command: Command) -> Command:
    """Add the options about scenarios; `wanted` makes them one."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def wanted(options: dict[str, Any]) -> Wanted:
    """Take the options about scenarios out of a command's, and give what is wanted."""
    from edgecnn.benchmark.scenarios import Wanted

    return Wanted(
        idle=options.pop("idle"),
        arrivals=options.pop("arrivals"),
        deadline_seconds=options.pop("deadline"),
        callers=options.pop("callers"),
        end_to_end=options.pop("end_to_end"),
        images=tuple(map(str, options.pop("images"))),
        energy=options.pop("energy"),
        loadgen=options.pop("loadgen"),
    )


def print_resources(report: BenchReport) -> None:
    """Print what a call takes besides time."""
    from rich.markup import escape

    from edgecnn.cli._show import microseconds, table

    rows = [
        (
            escape(row.variant),
            "-" if row.cpu_seconds is None else microseconds(row.cpu_seconds),
            "-" if row.spin_seconds is None else microseconds(row.spin_seconds),
            f"{row.peak_bytes / 1e6:,.0f} MB" if row.peak_bytes else "-",
        )
        for row in report.variants
    ]
    headers = ("", "CPU for a call", "CPU after the last", "peak memory")
    table("What it takes, all threads together", headers, rows)


def print_scenarios(found: ScenarioReport) -> None:
    """Print what was measured beyond the steady state."""
    if found.idle:
        _print_idle(found)
    for arrival in dict.fromkeys(row.arrival for row in found.arrivals):
        _print_arrival(found, arrival)
    if found.concurrency:
        _print_concurrency(found)
    if found.end_to_end:
        _print_end_to_end(found)
    if found.energy:
        _print_energy(found)
    for missing in found.not_measured:
        why = missing.why.rstrip(".")
        say(f"Not measured: {missing.what}, for {why}. {missing.remedy}".rstrip())


def _print_idle(found: ScenarioReport) -> None:
    from edgecnn.units import time_text

    time, unit = _scale([row.first_seconds for row in found.idle])
    rows = [
        (
            row.variant,
            time_text(row.pause_seconds),
            time(row.first_seconds),
            _between(row.first_interval, time),
            time(row.first_largest_seconds),
            time(row.steady_seconds),
            _times(row.ratio),
            "-" if row.recovery_calls is None else str(row.recovery_calls),
        )
        for row in found.idle
    ]
    headers = ("", "pause", "first", "95 % interval", "longest", "steady", "ratio", "slow calls")
    caption = "Ratio: the first call over a steady one. Slow calls: above it by more than 10 %."
    scenario_table(f"The first call after a pause, in {unit}", headers, rows, caption)


def _print_arrival(found: ScenarioReport, arrival: str) -> None:
    from edgecnn.cli._show import microseconds

    own = [row for row in found.arrivals if row.arrival == arrival]
    time, unit = _scale([row.median_seconds for row in own])
    rows = [
        (
            row.variant,
            row.waiting,
            time(row.median_seconds),
            _between(row.interval, time),
            time(row.p90_seconds),
            time(row.p99_seconds),
            time(row.call_seconds),
            "-" if row.missed is None else f"{100 * row.missed.estimate:.1f} %",
            "-" if row.cpu_seconds is None else time(row.cpu_seconds),
        )
        for row in own
    ]
    headers = ("", "waiting", "median", "95 % interval", "p90", "p99", "call", "missed", "CPU")
    deadline = own[0].deadline_seconds
    late = "" if deadline is None else f" Missed: later than {microseconds(deadline)}."
    caption = f"{own[0].arrivals} arrivals each, waited for asleep or watching the clock.{late}"
    scenario_table(f"From arrival to answer, {arrival}, in {unit}", headers, rows, caption)
    for row in own:
        if not row.keeps_up:
            say(f"{row.variant}, {row.waiting}, falls behind: its latency only grows.")


def _print_concurrency(found: ScenarioReport) -> None:
    time, unit = _scale([row.median_seconds for row in found.concurrency])
    order = list(dict.fromkeys(row.variant for row in found.concurrency))
    rows = [
        (
            row.variant,
            str(row.callers),
            row.spinning,
            "-" if row.images_per_second is None else f"{row.images_per_second.estimate:,.0f}",
            _between(row.images_per_second, lambda value: f"{value:,.0f}"),
            _times(row.gain),
            time(row.median_seconds),
            time(row.p99_seconds),
            "-" if row.cores is None else f"{row.cores:.2f}",
        )
        for row in sorted(found.concurrency, key=lambda row: order.index(row.variant))
    ]
    headers = ("", "callers", "spin", "images/s", "95 % interval", "gain", "median", "p99", "cores")
    caption = "Threads of one Python process. Gain: images/s over those of one caller."
    scenario_table(f"Several callers on one session, calls in {unit}", headers, rows, caption)


def _print_end_to_end(found: ScenarioReport) -> None:
    time, unit = _scale([row.total_seconds for row in found.end_to_end])
    rows = [
        (
            row.variant,
            time(row.total_seconds),
            _between(row.interval, time),
            time(row.decode_seconds),
            time(row.resize_seconds),
            time(row.input_seconds),
            time(row.run_seconds),
            time(row.model_seconds),
            _times(row.ratio),
        )
        for row in found.end_to_end
    ]
    headers = ("", "in all", "95 % interval", "decode", "resize", "input", "run", "model", "ratio")
    caption = (
        f"{found.end_to_end[0].pictures}. "
        "Model: the call alone on inputs that are ready. Ratio: all of it over that."
    )
    scenario_table(f"From an image file to the answer, in {unit}", headers, rows, caption)


def _print_energy(found: ScenarioReport) -> None:
    rows = [
        (
            row.variant,
            "below what shows" if row.joules is None else _joules(row.joules.estimate),
            _between(row.joules, _joules),
            f"{row.busy_watts:.1f} W",
            f"{row.idle_watts:.1f} W",
        )
        for row in found.energy
    ]
    headers = ("", "for a call", "95 % interval", "calling", "idle")
    caption = f"{found.energy[0].meter}; what idling takes is not in it."
    scenario_table("Energy", headers, rows, caption)


def scenario_table(
    title: str, headers: Sequence[str], rows: Sequence[Sequence[str]], caption: str
) -> None:
    """Print a table with a caption; names of variants are no markup."""
    from rich.markup import escape

    from edgecnn.cli._show import table

    cells = [tuple(map(escape, row)) for row in rows]
    table(title, headers, cells, caption=escape(caption))


def _scale(values: Sequence[float | None]) -> tuple[Callable[[float | None], str], str]:
    """Give how times are written that go into one column, and their unit."""
    from edgecnn.cli._show import three_digits

    largest = max((value for value in values if value is not None), default=0.0)
    factor, unit = (1e3, "ms") if largest >= 0.01 else (1e6, "µs")
    return lambda seconds: "-" if seconds is None else three_digits(seconds * factor), unit


def _between(interval: Interval | None, write: Callable[[float], str]) -> str:
    return "-" if interval is None else f"{write(interval.low)} to {write(interval.high)}"


def _times(ratio: Interval | None) -> str:
    return "-" if ratio is None else f"{ratio.estimate:.2f}"


def _joules(joules: float) -> str:
    from edgecnn.cli._show import three_digits

    factor, unit = (1e6, "µJ") if joules < 1e-3 else (1e3, "mJ") if joules < 1 else (1, "J")
    return f"{three_digits(joules * factor)} {unit}"


def _pauses(context: click.Context, option: click.Parameter, text: str | None) -> tuple[float, ...]:
    found = (to_seconds(context, option, part) for part in names(text or ""))
    return tuple(seconds for seconds in found if seconds is not None)


def _arrivals(
    context: click.Context, option: click.Parameter, texts: Sequence[str]
) -> tuple[Arrival, ...]:
    if not texts:
        return ()
    from edgecnn.benchmark.scenarios import parse_arrival

    return _each(context, option, texts, parse_arrival)


def _loadgen(
    context: click.Context, option: click.Parameter, texts: Sequence[str]
) -> tuple[LoadGenTest, ...]:
    if not texts:
        return ()
    from edgecnn.benchmark.scenarios import parse_loadgen

    return _each(context, option, texts, parse_loadgen)


def _each(
    context: click.Context,
    option: click.Parameter,
    texts: Sequence[str],
    parse: Callable[[str], Found],
) -> tuple[Found, ...]:
    """Read what stands between the commas, in all that was given."""
    from edgecnn.errors import InputError

    for text in texts:
        not_empty(context, option, text)
    try:
        return tuple(parse(part) for text in texts for part in names(text))
    except InputError as error:
        raise click.BadParameter(f"{error.problem} {error.remedy}", context, option) from None


def _callers(context: click.Context, option: click.Parameter, text: str | None) -> tuple[int, ...]:
    parts = names(text or "")
    if not all(part.isdecimal() for part in parts):
        raise click.BadParameter(f"'{text}' is no list of numbers, such as 2,4.", context, option)
    return tuple(map(int, parts))


_OPTIONS = (
    click.option(
        "--idle",
        metavar="TIME[,TIME]",
        callback=lambda context, option, text: _pauses(
            context, option, not_empty(context, option, text)
        ),
        help="Also time the first call after a pause.",
    ),
    click.option(
        "--arrival",
        "arrivals",
        multiple=True,
        metavar="PROCESS:RATE",
        callback=_arrivals,
        help="Also time answers to inputs that arrive, so many in a second: periodic:30 as from "
        "a camera, or poisson:50.",
    ),
    click.option(
        "--deadline",
        callback=to_seconds,
        metavar="TIME",
        help="When an answer comes too late.  [default: when the next periodic input arrives; for "
        "LoadGen's server 10 calls]",
    ),
    click.option(
        "--concurrency",
        "callers",
        metavar="N[,N]",
        callback=lambda context, option, text: _callers(
            context, option, not_empty(context, option, text)
        ),
        help="Also measure the throughput of so many callers on one session.",
    ),
    click.option(
        "--end-to-end",
        is_flag=True,
        help="Also time it all, from an image file to the answer, part by part.",
    ),
    click.option(
        "--image",
        "images",
        multiple=True,
        type=click.Path(path_type=Path),
        help="File for --end-to-end.  [default: the bundle's images, as JPEG]",
    ),
    click.option("--energy", is_flag=True, help="Also measure the energy for a call."),
    click.option(
        "--loadgen",
        multiple=True,
        metavar="SCENARIO[:RATE]",
        callback=_loadgen,
        help="Also let MLPerf's LoadGen ask: single-stream, multi-stream, offline or server, whose "
        "queries come so many in a second.  [default rate: half of what the steady state answers]",
    ),
)
