"""Scenarios: what a model does elsewhere than back to back.

After a pause, at a camera's rate, with several callers, from an image file, as MLPerf's LoadGen
asks, and what energy it takes. One file each: what is measured in the worker, what is kept raw, and
how it is summed up. No variant is compared with another here; that is the engine's business.
"""

from edgecnn.benchmark.scenarios.report import NotMeasured, ScenarioReport
from edgecnn.benchmark.scenarios.run import Material, ScenarioRun
from edgecnn.benchmark.scenarios.wanted import (
    Arrival,
    LoadGenTest,
    Wanted,
    parse_arrival,
    parse_loadgen,
)

__all__ = [
    "Arrival",
    "LoadGenTest",
    "Material",
    "NotMeasured",
    "ScenarioReport",
    "ScenarioRun",
    "Wanted",
    "parse_arrival",
    "parse_loadgen",
]
