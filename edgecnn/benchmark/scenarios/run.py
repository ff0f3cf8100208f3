"""One run of the scenarios that are wanted."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from edgecnn.benchmark.engine import Subject
from edgecnn.benchmark.samples import Failure
from edgecnn.benchmark.scenarios import arrival, concurrency, end_to_end, energy, idle, loadgen
from edgecnn.benchmark.scenarios.end_to_end import Pictures
from edgecnn.benchmark.scenarios.meters import Meter, NoMeter, find_meter
from edgecnn.benchmark.scenarios.report import NotMeasured, ScenarioReport, sum_up
from edgecnn.benchmark.scenarios.turns import Extent, Extra, Scenario, Turns, take_turns
from edgecnn.benchmark.scenarios.wanted import Wanted, check
from edgecnn.errors import InputError
from edgecnn.extras import require
from edgecnn.progress import Progress
from edgecnn.spec import InputContract
from edgecnn.units import time_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_OPENING_SECONDS = 0.8  # a process, its engine and its warm-up; for what fits into a budget
_LEAST_SECONDS = 0.4
_REPLICATES, _FEWEST_REPLICATES = 4, 2


@dataclass(frozen=True)
class Material:
    """What scenarios are measured with.

    Attributes:
        subjects: What takes turns.
        contracts: How pictures become input, by subject, where that is known.
        pixels: The model's own images, uint8 [N, height, width, channels]; None if it has none.
        batch_size: Images in one call.
        warmup_runs: Runs of each session beforehand; found where None.
    """

    subjects: Sequence[Subject]
    contracts: Mapping[str, InputContract]
    pixels: NDArray[np.uint8] | None
    batch_size: int
    warmup_runs: int | None = None


class ScenarioRun:
    """Measures what is wanted; what it has measured stays in it if it is interrupted.

    Args:
        wanted: What to measure.
        material: With what.
        meter: What reads the energy; found where None.

    Raises:
        InputError: Something of it cannot be.
        DataError: An image file cannot be used.
        UnavailableError: A package for it is missing.
    """

    def __init__(
        self, wanted: Wanted, material: Material, meter: Meter | NoMeter | None = None
    ) -> None:
        check(wanted)
        if wanted.loadgen:
            require("edgecnn bench --loadgen", "mlperf_loadgen")
        self._wanted = wanted
        self._material = material
        self._turns = Turns()
        self._not_measured: list[NotMeasured] = []
        self._meter = self._find_meter(meter) if wanted.energy else None
        self._pictures = self._named_pictures() if wanted.end_to_end else None

    @property
    def report(self) -> ScenarioReport:
        """What was measured so far."""
        return sum_up(
            self._turns,
            self._wanted,
            self._material.batch_size,
            pictures=self._pictures,
            meter=self._meter,
            not_measured=self._not_measured,
        )

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Variants that could not be measured to the end."""
        return tuple(self._turns.failures.values())

    def expected_seconds(self, seconds: float) -> float:
        """Say about how long it takes, if each scenario has so many seconds for a variant."""
        lanes, pauses = len(self._material.subjects), sum(self._wanted.idle)
        turns = seconds * lanes * self._wanted.count + _REPLICATES * pauses
        return turns + _REPLICATES * lanes * _OPENING_SECONDS if self._wanted.count else 0.0

    def go(
        self,
        seconds: float,
        progress: Progress,
        deadline: float = math.inf,
        steady: Mapping[str, float] | None = None,
    ) -> None:
        """Measure.

        Args:
            seconds: How long each scenario may take for each variant, about.
            progress: Called with a line of text and the share (0 to 1) that is done.
            deadline: By `time.perf_counter`, when all must be done; it shortens the seconds.
            steady: What a call takes in the steady state, in seconds, by variant: LoadGen asks no
                variant that is missing there.

        Raises:
            EdgeCNNError: A variant cannot be opened; a crash or a hang is only recorded.
        """
        extent, fitting = self._fit(seconds, deadline - time.perf_counter())
        with ExitStack() as stack:
            if self._wanted.end_to_end and self._pictures is None:
                self._pictures = self._encoded(Path(stack.enter_context(TemporaryDirectory())))
            scenarios = self._scenarios(extent, fitting, steady or {})
            if not scenarios:
                return
            take_turns(
                self._turns,
                self._material.subjects,
                scenarios,
                extras=self._extras(),
                warmup_runs=self._material.warmup_runs,
                deadline=deadline,
                progress=progress,
                replicates=extent.replicates,
            )

    def _scenarios(
        self, extent: Extent, wanted: Wanted, steady: Mapping[str, float]
    ) -> list[Scenario]:
        material = self._material
        names = [subject.name for subject in material.subjects]
        found = [idle.scenario(names, pause, extent) for pause in wanted.idle]
        found += [arrival.scenario(names, each, extent) for each in wanted.arrivals]
        if wanted.callers:
            found.append(concurrency.scenario(material.subjects, wanted.callers, extent))
        if self._pictures:
            found.append(
                end_to_end.scenario(self._pictures, material.batch_size, material.contracts, extent)
            )
        if self._meter:
            found.append(energy.scenario(names, self._meter, extent))
        deadline = wanted.deadline_seconds
        found += [loadgen.scenario(test, steady, deadline, extent) for test in wanted.loadgen]
        return found

    def _extras(self) -> list[Extra]:
        return concurrency.extras(self._material.subjects) if self._wanted.callers else []

    def _fit(self, seconds: float, left: float) -> tuple[Extent, Wanted]:
        """Shorten what does not fit into the time that is left, and leave out what cannot."""
        wanted = self._wanted
        if left == math.inf:
            return Extent(seconds, _REPLICATES), wanted
        lanes = len(self._material.subjects)
        opening = lanes * _OPENING_SECONDS
        replicates = int(left / 2 / opening) if opening else _REPLICATES
        replicates = min(_REPLICATES, max(_FEWEST_REPLICATES, replicates))
        share = (left - replicates * opening) / max(1, wanted.count)
        each = min(seconds, max(_LEAST_SECONDS, share / max(1, lanes)))
        pauses = {pause: f"after {time_text(pause)} idle" for pause in wanted.idle}
        long = [pause for pause in pauses if replicates * pause > share]
        slow = [one for one in wanted.arrivals if replicates * arrival.least_seconds(one) > each]
        self._leave_out(pauses[pause] for pause in long)
        self._leave_out(f"inputs arriving {one}" for one in slow)
        fitting = replace(
            wanted,
            idle=tuple(pause for pause in wanted.idle if pause not in long),
            arrivals=tuple(one for one in wanted.arrivals if one not in slow),
        )
        return Extent(each, replicates), fitting

    def _leave_out(self, what: Iterable[str]) -> None:
        why, remedy = "it does not fit into --budget", "Raise --budget."
        self._not_measured.extend(NotMeasured(text, why, remedy) for text in what)

    def _find_meter(self, meter: Meter | NoMeter | None) -> Meter | None:
        found = find_meter() if meter is None else meter
        if isinstance(found, Meter):
            return found
        self._not_measured.append(NotMeasured("energy", found.why, found.remedy))
        return None

    def _named_pictures(self) -> Pictures | None:
        material = self._material
        if not material.contracts:
            raise InputError(
                "A plain ONNX file does not say how an image becomes its input.",
                "Import it first, with `edgecnn import FILE`; then measure the bundle end to end.",
            )
        contracts = list(material.contracts.values())
        if self._wanted.images:
            files = [Path(file) for file in self._wanted.images]
            return end_to_end.named_pictures(files, contracts[0])
        return None

    def _encoded(self, folder: Path) -> Pictures:
        assert self._material.pixels is not None, "what has a contract has images"
        contract = next(iter(self._material.contracts.values()))
        return end_to_end.encoded_pictures(self._material.pixels, contract, folder)


def shorten(wanted: Wanted) -> Wanted:
    """Give what is wanted without what is named twice."""
    return replace(
        wanted,
        idle=tuple(dict.fromkeys(wanted.idle)),
        arrivals=tuple(dict.fromkeys(wanted.arrivals)),
        callers=tuple(dict.fromkeys(wanted.callers)),
        loadgen=tuple(dict.fromkeys(wanted.loadgen)),
    )
