"""`edgecnn eval`: every variant answers the same images, and so does a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgecnn.bundle import Bundle, open_bundle
from edgecnn.bundle_data import bundle_data
from edgecnn.data import Dataset, Split
from edgecnn.deployment import how_or_warn
from edgecnn.errors import DataError, InputError
from edgecnn.evaluation.baseline import (
    compare_with,
    find_rival,
    images_for,
    variant_digests,
)
from edgecnn.evaluation.figures import judge
from edgecnn.evaluation.measuring import Noting, Row, measure
from edgecnn.evaluation.report import Baseline, EvalReport, SplitName
from edgecnn.evaluation.worst import pictures
from edgecnn.formats import readable, refuse_unreadable
from edgecnn.gating import parse_gates, refuse_unknown
from edgecnn.options import Options
from edgecnn.predictor import Predictor, load
from edgecnn.progress import Progress
from edgecnn.worker import Crashes


def evaluate(
    bundle: Bundle | Path | str,
    variants: Sequence[str] | None = None,
    data: Dataset | Path | str | None = None,
    split: SplitName = "test",
    *,
    data_dir: Path | None = None,
    runtime: str | None = None,
    provider: str | None = None,
    threads: int | None = None,
    options: Options | None = None,
    batch_size: int | None = None,
    time_limit: float | None = None,
    memory_limit: int | None = None,
    baseline: Bundle | Path | str | None = None,
    fail_if: Sequence[str] = (),
    progress: Progress | None = None,
) -> EvalReport:
    """Measure accuracy on a split, and compare later variants with the first.

    Args:
        bundle: A bundle or its folder.
        variants: Names of variants; by default all of the bundle's that the runtime reads.
        data: Data or its source; the bundle's own by default.
        split: `test` or `train`.
        data_dir: Folder for downloaded data.
        runtime: Name or path of the runtime; by default, where nothing is said of variants or how
            to run them, as the bundle is deployed, else `ort`.
        provider: Where to compute; the runtime's first provider by default.
        threads: Threads within an operator; by default the cores that this process may use.
        options: The runtime's own options.
        batch_size: Images in one run; by default what fits into 1 MiB.
        time_limit: As in `edgecnn.load`.
        memory_limit: As in `edgecnn.load`.
        baseline: Another bundle to answer the same images; its variants are compared with this
            one's of the same names.
        fail_if: Gates, such as `accuracy < -0.5pp`; the report's `gates` say what became of them.
        progress: Called with what is done, such as a variant's name, and the share (0 to 1) of
            its images that is behind.

    Raises:
        DataError: There is no data, or it does not fit the bundle.
        InputError: The outputs are no classes, or the bundle cannot be used.
        UnavailableError: The runtime, provider or precision is not to be had here.
        RuntimeCrashed: The engine crashed or hung on every variant; if only on some, the report
            says so.
    """
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    how = how_or_warn(
        opened,
        variant=variants,
        runtime=runtime,
        provider=provider,
        threads=threads,
        options=options,
        batch_size=batch_size,
    )
    names = _names(opened, variants, how.runtime)
    gates = parse_gates(fail_if, "eval", baseline=baseline is not None)
    refuse_unknown(gates, names)
    ready = partial(
        load,
        runtime=how.runtime,
        provider=how.provider,
        threads=how.threads,
        options=how.options,
        batch_size=how.batch_size,
        time_limit=time_limit,
        memory_limit=memory_limit,
    )
    crashes = Crashes()
    noting: Noting = partial(crashes.noting, runtime=how.runtime, provider=how.provider)
    rival = None if baseline is None else find_rival(baseline, opened, names)
    names = _openable(ready, opened, names, noting)
    if rival:
        theirs = _openable(ready, rival.bundle, rival.names, partial(_of_baseline, noting))
        rival = replace(rival, names=theirs)
    crashes.stop_without(names)
    loaded = _data(opened, data, split, data_dir, progress)
    images: Split = getattr(loaded, split)
    rows = list(measure(partial(ready, opened), names, images, loaded.labels, progress, noting))
    crashes.stop_without(rows)
    against = None
    if rival:
        same = images_for(rival, opened, data, loaded, split, data_dir, progress)
        noting = partial(_of_baseline, noting)
        answers = measure(
            partial(ready, rival.bundle), rival.names, same, loaded.labels, progress, noting
        )
        against = compare_with(rival, rows, list(answers), images.labels)
    found = _report(opened, loaded, split, rows, against)
    return judge(gates, replace(found, failures=tuple(crashes.found)))


def _data(
    bundle: Bundle,
    data: Dataset | Path | str | None,
    split: SplitName,
    data_dir: Path | None,
    progress: Progress | None,
) -> Dataset:
    if isinstance(data, Dataset):
        loaded = data
    else:
        loaded = bundle_data(bundle, data, data_dir=data_dir, progress=progress)
    if not len(getattr(loaded, split)):
        raise DataError(f"The {split} split of {loaded.source} is empty.", "Name other data.")
    return loaded


def _openable(
    ready: partial[Predictor], bundle: Bundle, names: Sequence[str], noting: Noting
) -> tuple[str, ...]:
    """Open each once, before any data is read, and give those that do not crash."""
    found = []
    for name in names:
        with noting(name):
            ready(bundle, variant=name).close()
            found.append(name)
    return tuple(found)


def _of_baseline(noting: Noting, name: str) -> AbstractContextManager[None]:
    return noting(f"baseline {name}")


def _names(bundle: Bundle, variants: Sequence[str] | None, runtime: str) -> tuple[str, ...]:
    if bundle.manifest.contract.output_kind == "other":
        raise InputError(
            f"The outputs of {bundle.folder} are not classes, so they have no accuracy.",
            f"Compare them instead with `edgecnn parity {bundle.folder}`.",
        )
    refuse_unreadable(map(bundle.variant, variants or ()), runtime)
    every = () if variants else readable(bundle.manifest.variants, runtime)
    names = tuple(variants or (variant.name for variant in every))
    if not names:
        bundle.variant("fp32")
    return names


def _report(
    bundle: Bundle,
    data: Dataset,
    split: SplitName,
    rows: Sequence[Row],
    baseline: Baseline | None,
) -> EvalReport:
    images: Split = getattr(data, split)
    pairs = [row.against_first for row in rows if row.against_first]
    wrong = tuple(row.mistakes for row in rows)
    differing = tuple(differ for _, differ in pairs)
    return EvalReport(
        data=data.name,
        source=data.source,
        split=split,
        split_sha256=images.sha256,
        images=len(images),
        labels=data.labels,
        variants=tuple(row.accuracy for row in rows),
        comparisons=tuple(pair for pair, _ in pairs),
        measured=variant_digests(bundle, [row.accuracy.name for row in rows]),
        notes=data.notes,
        mistakes=wrong,
        disagreements=differing,
        pictures=pictures(images, bundle.manifest.contract.color, [*differing, *wrong]),
        baseline=baseline,
    )
