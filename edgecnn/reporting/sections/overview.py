"""What the net is, and each of its variants at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.report import Setup
from edgecnn.bundle import Bundle
from edgecnn.evaluation import EvalReport, VariantAccuracy
from edgecnn.options import computing
from edgecnn.reporting.contract import Section, Table
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.words import percent, size, time
from edgecnn.spec import InputContract, Variant
from edgecnn.stats import Interval

ORDER = 0  # the verdicts stand below it
TITLE = "At a glance"
COMMAND = "edgecnn train"


def build(material: Material) -> Section:
    """Sum up the bundle: what goes in and comes out, accuracy, latency and size of each variant."""
    evaluated, measured = material.newest(EvalReport), material.newest(BenchReport)
    manifest = material.bundle.manifest
    origins: list[Kept[Any]] = [kept for kept in (evaluated, measured) if kept is not None]
    return Section(
        {
            "manifest": manifest,
            "input": _input(manifest.contract),
            "variants": _variants(material.bundle, evaluated, measured),
            "origins": origins,
        }
    )


def _input(contract: InputContract) -> str:
    color = "grey" if contract.color == "gray" else contract.color.upper()
    picture = f"{contract.height} x {contract.width} pixels, {color}, resized by {contract.resize}"
    if contract.labels:
        return f"{picture}; {len(contract.labels):,} classes"
    other = contract.output_kind == "other"
    return f"{picture}; {'outputs that are no classes' if other else 'classes without names'}"


def _variants(
    bundle: Bundle, evaluated: Kept[EvalReport] | None, measured: Kept[BenchReport] | None
) -> Table:
    accuracy = {each.name: each.accuracy for each in evaluated.body.variants} if evaluated else {}
    latency = (
        {row.variant: row.median_seconds for row in measured.body.variants} if measured else {}
    )
    rows = [
        (
            variant.name,
            _bytes(bundle, variant),
            _share(accuracy.get(variant.name)),
            _time(latency.get(variant.name)),
        )
        for variant in bundle.manifest.variants
    ]
    columns = ("variant", "size", "accuracy", "latency")
    judged = {_how(each) for each in evaluated.body.variants} if evaluated else set()
    timed = {_how(measured.body.setup)} if measured else set()
    caption = f"Variants: accuracy with its 95 % interval{_also(judged)}, "
    return Table(f"{caption}median latency{_also(timed)}", columns, tuple(rows))


def _how(where: VariantAccuracy | Setup) -> str:
    return computing(where.precision, where.options)


def _also(hows: set[str]) -> str:
    """Say how an engine computed where that is not as it does by itself."""
    known = sorted(filter(None, hows))
    return f" ({'; '.join(known)})" if known else ""


def _bytes(bundle: Bundle, variant: Variant) -> str:
    return size(sum(_sizes(bundle, variant)))


def _sizes(bundle: Bundle, variant: Variant) -> Iterator[int]:
    return (bundle.files[file].size for file in variant.files if file in bundle.files)


def _share(found: Interval | None) -> str:
    if found is None:
        return "not measured"
    return f"{percent(found.estimate)} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def _time(seconds: float | None) -> str:
    return "not measured" if seconds is None else time(seconds)
