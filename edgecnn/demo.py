"""`edgecnn demo`: two nets from nothing to a verdict, by the functions that the commands call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from edgecnn.agreement import ParityReport, parity
from edgecnn.benchmark import LatencyComparison, bench
from edgecnn.bundle import refuse_existing
from edgecnn.evaluation import EvalReport, evaluate
from edgecnn.exporting import export
from edgecnn.progress import Progress
from edgecnn.quantization import QuantizeReport, quantize
from edgecnn.quantization.verdict import judge
from edgecnn.reports import Report, make_report, write_report
from edgecnn.spec import Verdict
from edgecnn.training import train
from edgecnn.training.report import Event, Reading, Step

RECIPES = ("lenet", "resnet8")
# One thread: on nets this small a second one adds noise and little else.
_THREADS = 1

# About when each net, and each step of one, begins and ends, in shares of the time.
_NETS = {"lenet": (0.0, 0.3), "resnet8": (0.3, 1.0)}
_EXPORT, _QUANTIZE, _PARITY, _EVAL, _BENCH = 0.7, 0.72, 0.85, 0.87, 0.9  # where each begins

Tell = Callable[[str], None]


@dataclass(frozen=True)
class DemoRow:
    """What became of one net.

    Attributes:
        net: The recipe.
        bundle: The bundle's folder.
        quantized: fp32 and int8 on the whole test split: accuracy, agreement, size.
        parity: Whether every variant agrees with the golden vectors.
        latency: int8 against fp32, in turn, on one thread; None if that could not be measured.
        verdict: Whether int8 is worth having, and why.
    """

    net: str
    bundle: str
    quantized: QuantizeReport
    parity: Verdict
    latency: LatencyComparison | None
    verdict: Verdict


@dataclass(frozen=True)
class DemoReport:
    """What became of the nets.

    Attributes:
        rows: One for each net.
    """

    KIND: ClassVar[str] = "demo"
    VERSION: ClassVar[int] = 2  # int8's report is of version 2

    rows: tuple[DemoRow, ...]


def demo(
    folder: Path | str = "edgecnn-demo",
    *,
    force: bool = False,
    tell: Tell | None = None,
    progress: Progress | None = None,
) -> DemoReport:
    """Train two nets on drawn shapes, export, quantize, check and measure them.

    Args:
        folder: Where the two bundles go.
        force: Replace bundles that are there.
        tell: Called with a sentence before each step and after it.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        BundleError: A bundle is there and `force` was not given.
        EdgeCNNError: What any of the steps raises.
    """
    bundles = [(recipe, Path(folder) / recipe) for recipe in RECIPES]
    if not force:
        for _, place in bundles:
            refuse_existing(place)
    show = progress or _ignore
    return DemoReport(
        tuple(
            _carry(net, place, tell or _ignore, partial(_part, show, *_NETS[net]))
            for net, place in bundles
        )
    )


def _carry(net: str, place: Path, tell: Tell, show: Progress) -> DemoRow:
    tell(f"{net}: training on drawn shapes …")
    trained = train(net, output=place, force=True, tell=_training(partial(_part, show, 0, _EXPORT)))
    tell(f"{net}: {100 * trained.accuracy.estimate:.1f} % right. Exporting and quantizing …")
    export(place, progress=partial(_part, show, _EXPORT, _QUANTIZE))
    quantized = quantize(place, threads=_THREADS, progress=partial(_part, show, _QUANTIZE, _PARITY))
    _keep(place, quantized, {quantized.file: quantized.sha256})
    tell(f"{net}: checking the answers against float64, and measuring …")
    agreed = parity(place, threads=_THREADS, progress=partial(_part, show, _PARITY, _EVAL))
    _keep(place, agreed, agreed.measured)
    evaluated = evaluate(place, threads=_THREADS, progress=partial(_part, show, _EVAL, _BENCH))
    _keep(place, evaluated, evaluated.measured)
    measured = bench(
        place,
        threads=_THREADS,
        keep=partial(_write, place),
        progress=partial(_part, show, _BENCH, 1.0),
    ).comparisons
    latency = measured[0] if measured else None
    verdict = _unmeasured()
    if latency:
        verdict = judge(quantized.paired, quantized.agreement, latency, None, quantized.work)
    tell(f"{net}: {verdict.reasons[0]}")
    return DemoRow(net, str(place), quantized, agreed.verdict, latency, verdict)


def _keep(
    place: Path, body: QuantizeReport | ParityReport | EvalReport, measured: dict[str, str]
) -> None:
    # As the commands do, so that `edgecnn report` has something to show.
    _write(place, make_report(body.KIND, body, measured))


def _write(place: Path, report: Report) -> None:
    write_report(report, place)


def _unmeasured() -> Verdict:
    return Verdict("inconclusive", ("The two could not be measured side by side.",))


def _training(show: Progress) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        if isinstance(event, Reading):
            show(event.what, 0.0)
        elif isinstance(event, Step):
            done = (event.epoch - 1) * event.steps + event.step
            show(f"Epoch {event.epoch}/{event.epochs}", done / (event.epochs * event.steps))

    return tell


def _part(show: Progress, start: float, end: float, what: str, share: float) -> None:
    show(what, start + (end - start) * share)


def _ignore(*told: object) -> None:
    pass
