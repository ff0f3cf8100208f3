"""What LoadGen wrote into its log of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MARK = ":::MLLOG "
_PERCENTILES = ("50", "90", "95", "99")
# Each scenario has its own word for it; MultiStream has none.
_RATES = (
    "result_samples_per_second",
    "result_completed_samples_per_sec",
    "result_qps_with_loadgen_overhead",
)
_CONDITIONS = {
    "result_perf_constraints_met": "performance constraints not satisfied",
    "result_min_duration_met": "minimum duration not satisfied",
    "result_min_queries_met": "minimum number of queries not satisfied",
}


@dataclass(frozen=True)
class LoadGenLog:
    """One run in LoadGen's own figures.

    Attributes:
        version: LoadGen's version.
        valid: It calls the run VALID.
        reasons: What it gives as reasons for INVALID.
        queries: How many there were.
        samples_per_query: Samples in each.
        latencies_ns: Its percentiles of a query's latency, by `50`, `90`, `95` and `99`; in
            nanoseconds. None in Offline, whose one query comes at the start.
        samples_per_second: Samples answered in a second; None in MultiStream, which logs none.
    """

    version: str
    valid: bool
    reasons: tuple[str, ...]
    queries: int
    samples_per_query: int
    latencies_ns: dict[str, int]
    samples_per_second: float | None


def read_log(file: Path) -> LoadGenLog:
    """Read `mlperf_log_detail.txt`, in which each line is an entry in JSON.

    Raises:
        KeyError: It is not the log of a run that ended.
    """
    entries = [
        json.loads(line.removeprefix(_MARK))
        for line in file.read_text(errors="replace").splitlines()
        if line.startswith(_MARK)
    ]
    found = {entry["key"]: entry["value"] for entry in entries}
    valid = found["result_validity"] == "VALID"
    errors = [entry["value"] for entry in entries if entry["key"].startswith("error")]
    rates = [float(found[key]) for key in _RATES if key in found]
    return LoadGenLog(
        version=str(found["loadgen_version"]).split()[0],
        valid=valid,
        reasons=() if valid else _reasons(found, errors),
        queries=int(found["result_query_count"]),
        samples_per_query=int(found["generated_samples_per_query"]),
        latencies_ns={} if found["effective_scenario"] == "Offline" else _latencies(found),
        samples_per_second=rates[0] if rates else None,
    )


def _latencies(found: dict[str, Any]) -> dict[str, int]:
    # MultiStream logs both; there a latency is that of the whole query.
    kinds = ("percentile_per_query_latency_ns", "percentile_latency_ns")
    kind = next(kind for kind in kinds if f"result_50.00_{kind}" in found)
    return {key: int(found[f"result_{key}.00_{kind}"]) for key in _PERCENTILES}


def _reasons(found: dict[str, Any], errors: list[str]) -> tuple[str, ...]:
    said = [words for key, words in _CONDITIONS.items() if found.get(key) is False]
    said += [found.get("result_invalid_reason", ""), *errors]
    if found.get("early_stopping_met") is False:
        said.append(f"early stopping not satisfied: {found.get('early_stopping_result', '')}")
    return tuple(filter(None, map(_plain, said)))


def _plain(text: str) -> str:
    """Give a text without its bullets and line breaks."""
    return " ".join(text.replace("*", " ").split()).rstrip(".")
