"""`edgecnn tune`: what is right and fastest here, confirmed by a second run, and written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from edgecnn.bundle import Bundle, open_bundle
from edgecnn.bundle_data import bundle_data
from edgecnn.data import Dataset
from edgecnn.deployment import deploy
from edgecnn.errors import GateFailed, InputError
from edgecnn.golden import golden
from edgecnn.options import FP32
from edgecnn.progress import Progress, tell_nobody
from edgecnn.reports import Report, make_report, write_report
from edgecnn.tuning.answers import Answers
from edgecnn.tuning.final import decide, in_words, run_final
from edgecnn.tuning.report import Candidate, Outcome, TuneReport
from edgecnn.tuning.search import Race, new_clock, search
from edgecnn.tuning.space import Space, Wishes, find_space
from edgecnn.tuning.state import Tuning, deployment_of, make_tune_report

BUDGET_SECONDS = 60.0
# The run that decides; so that its noise floor is that of a bench of some seconds.
_FINAL_SHARE = 0.35
# What is slower than the default by more than this in the search needs no second run.
_HOPE = 1.02


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while candidates were measured.

    Args:
        report: What was found until then; nothing is deployed.
    """

    def __init__(self, report: TuneReport) -> None:
        super().__init__()
        self.report = report


def tune(
    bundle: Bundle | Path | str,
    *,
    runtimes: Sequence[str] = (),
    variants: Sequence[str] = (),
    provider: str | None = None,
    threads: int | None = None,
    precision: str | None = None,
    max_drop: float | None = None,
    data: Dataset | Path | str | None = None,
    data_dir: Path | None = None,
    budget: float = BUDGET_SECONDS,
    batch_size: int = 1,
    store: bool = True,
    keep: Callable[[Report], Path | None] | None = None,
    progress: Progress | None = None,
) -> TuneReport:
    """Find how a bundle runs fastest here, and make that its deployment.

    Candidates are every variant on every runtime that is here and reads it, with several numbers
    of threads; and, of the fastest, the options that the runtime says are worth trying. What does
    not answer right takes no part. The others race against the default by sequential halving
    (`edgecnn.tuning.halving`), and the best meet it again in a second run, in fresh processes: they
    are faster only if that run shows it, by the rule of `edgecnn bench`. Otherwise the default is
    deployed.

    Args:
        bundle: A bundle or its folder.
        runtimes: Names or paths of the runtimes to try; by default all but the reference.
        variants: Names of the variants to try; by default all.
        provider: Where to compute; by default wherever a runtime can.
        threads: Threads within an operator, also of the default; by default several numbers are
            tried, and the default has the cores that this process may use.
        precision: What float32 operators compute in; by default fp32, and with `max_drop` whatever
            the runtimes offer.
        max_drop: Largest loss of accuracy allowed; 0.005 is half a point. By default answers must
            agree with the golden vectors, within the tolerances of each variant.
        data: Labelled images for `max_drop`, or their source; the bundle's own by default.
        data_dir: Folder for downloaded data.
        budget: Seconds that everything should take. The first round and the second run take what
            they need, even if that is more.
        batch_size: Images in one call.
        store: Write the deployment into the bundle.
        keep: Writes the report and gives its path; by default it goes into the bundle, if the
            deployment does.
        progress: Called with a line of text and the share (0 to 1) of the budget that is spent.

    Raises:
        InputError: A number or precision cannot be, or the bundle cannot be written to.
        GateFailed: The default does not answer right here.
        BundleError: The bundle has no variant or golden vectors, or they are damaged.
        DataError: There is no data for `max_drop`.
        UnavailableError: A runtime that was named, or the default's, is not to be had here.
        RuntimeCrashed: The default crashed.
        Interrupted: Ctrl-C; it holds what was measured until then.
    """
    began = time.perf_counter()
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    _refuse(opened, budget, precision, max_drop)
    reduced = max_drop is not None
    wishes = Wishes(
        tuple(runtimes), tuple(variants), provider, threads, precision, reduced, batch_size
    )
    tell = progress or tell_nobody
    loaded = _data(opened, data, data_dir, tell) if reduced else None
    tell("Looking for runtimes", 0.0)
    space = find_space(opened, wishes)
    tuning = _prepared(opened, space, wishes, max_drop, loaded, budget, began, tell)
    write = keep or (lambda report: write_report(report, opened.folder) if store else None)
    return _carry_out(opened, tuning, write, store=store)


def _prepared(
    bundle: Bundle,
    space: Space,
    wishes: Wishes,
    max_drop: float | None,
    data: Dataset | None,
    budget: float,
    began: float,
    tell: Progress,
) -> Tuning:
    answers = Answers(bundle, space.default, wishes.batch_size, max_drop, data)
    race = Race(bundle, space.default, wishes.batch_size, new_clock(), tell)
    tuning = Tuning(space, race, answers, budget, began, tell)
    race.progress = tuning.progress
    return tuning


def _carry_out(
    bundle: Bundle, tuning: Tuning, write: Callable[[Report], Path | None], *, store: bool
) -> TuneReport:
    try:
        outcome, chosen, verdict = _tuned(tuning)
    except KeyboardInterrupt:
        report = make_tune_report(
            tuning, "inconclusive", None, "It was interrupted.", interrupted=True
        )
        write(make_report(TuneReport.KIND, report, report.measured))
        raise Interrupted(report) from None
    report = make_tune_report(tuning, outcome, chosen, verdict)
    path = write(make_report(TuneReport.KIND, report, report.measured))
    if store and chosen is not None:
        deploy(bundle, deployment_of(tuning, tuning.race.candidates[chosen], path))
    return report


def _tuned(tuning: Tuning) -> tuple[Outcome, str | None, str]:
    race, default = tuning.race, tuning.space.default
    end = tuning.began + tuning.budget
    last = end - _FINAL_SHARE * tuning.budget
    tuning.entrants = list(tuning.space.engines)
    if not tuning.right(default):
        reasons = " ".join(tuning.answers.checks[-1].reasons)
        raise GateFailed(
            f"The default, {default.name}, does not answer right on this machine: {reasons}",
            f"Look at it with `edgecnn parity {tuning.answers.bundle.folder}`.",
        )
    found = search(race, tuning.space.engines, tuning.right, last)
    hopeful = [each for each in found if race.standings.ratio(each.name) <= _HOPE]
    finalists = [each for each in hopeful if tuning.right(each, confirm=True)]
    if not finalists:
        return "no better", default.name, _why_none(tuning, hopeful)
    tuning.deciding = True
    final = run_final(
        finalists, default.name, race.job, race.clock, end, tuning.progress, tuning.heard
    )
    names = [each.name for each in finalists]
    outcome, chosen = decide(final, default.name, names)
    return outcome, chosen, in_words(final, outcome, default.name, chosen)


def _why_none(tuning: Tuning, hopeful: Sequence[Candidate]) -> str:
    default = tuning.space.default.name
    if hopeful:
        names = " and ".join(each.name for each in hopeful)
        return f"The default, {default}, is kept: what is faster ({names}) does not answer right."
    standings = tuning.race.standings
    ranked = standings.ranked(list(standings.found))
    if not ranked:
        return f"The default, {default}, is kept: nothing else could be measured here."
    ratio = standings.ratio(ranked[0])
    return (
        f"The default, {default}, is the fastest: {ranked[0]}, the next, takes {ratio:.2f} times "
        "its time."
    )


def _refuse(bundle: Bundle, budget: float, precision: str | None, max_drop: float | None) -> None:
    if not 0 < budget < float("inf"):
        raise InputError(f"A budget of {budget:g} s lets nothing be measured.", "Use such as 60s.")
    if max_drop is not None and bundle.manifest.contract.output_kind == "other":
        raise InputError(
            f"The outputs of {bundle.folder} are not classes, so no accuracy can be lost.",
            "Leave --max-drop out: answers are held against the golden vectors.",
        )
    if precision not in (None, FP32) and max_drop is None:
        raise InputError(
            f"Computing in {precision} changes answers.",
            "Say how much accuracy may be lost, such as --max-drop 0.5pp.",
        )
    golden(bundle)


def _data(
    bundle: Bundle, data: Dataset | Path | str | None, data_dir: Path | None, tell: Progress
) -> Dataset:
    if isinstance(data, Dataset):
        return data
    return bundle_data(
        bundle, data, data_dir=data_dir, progress=lambda what, share: tell(what, 0.0)
    )


def without_deployment(bundle: Bundle) -> Bundle:
    """Take a bundle's deployment back: commands choose by themselves again."""
    return bundle if bundle.manifest.deployment is None else deploy(bundle, None)
