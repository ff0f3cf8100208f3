"""What of the machine's conditions makes figures doubtful, and what to do about it.

Each threshold stands here with its reason. A doubt is `invalid` where the figures are those of a
disturbed machine, and a note where they are right but would be other ones elsewhere or tomorrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edgecnn.conditions.watch import Conditions

# An idle machine's own housekeeping takes 1 to 3 % of a CPU, and clock ticks, by which time is
# counted, blur a run of some seconds by 2 %. From a tenth on, some calls in ten were disturbed, and
# the 90th percentile is no longer the model's.
_OTHERS_SHARE = 0.10
# What runs beside us on CPUs that we do not need still shares caches, memory and turbo.
_OTHERS_NOTE = 0.25
# Many small processes have no culprit among them.
_MOST_SHARE = 0.25
# As for others' load; a hypervisor takes whole milliseconds, so that half as much shows.
_STEAL_SHARE, _STEAL_NOTE = 0.05, 0.01
# One throttled period in 50 is one call in thousands, and opening sessions may cause it.
_THROTTLED_SHARE = 0.02
# A page from swap takes as long as hundreds of calls; some of others' pages always come back.
_SWAP_BYTES_EACH_SECOND = 1_000_000
_STALL_SHARE = 0.05
# Below this, the next file that is read takes memory away from somebody.
_AVAILABLE_SHARE = 0.05
_CLOCK_SHARE = 0.95
# Fewer degrees are what any sensor shows when a core begins to work.
_WARMING_CELSIUS = 15.0

_FIX_CLOCK = "`sudo cpupower frequency-set -g performance`"


@dataclass(frozen=True)
class Doubt:
    """Something that makes a run's figures doubtful.

    Attributes:
        what: What it is, with its figures, as a clause.
        remedy: What to do, in a sentence; empty if nothing helps.
        invalid: The figures may not be believed; else it is good to know.
    """

    what: str
    remedy: str = ""
    invalid: bool = True


def doubts(found: Conditions, threads: int) -> tuple[Doubt, ...]:
    """Say what was doubtful.

    Args:
        found: What the machine was like.
        threads: Threads that computed at once, at most.

    Returns:
        Doubts, those that make the run not valid first; none where nothing is known.
    """
    checks: tuple[Callable[[], Doubt | None], ...] = (
        lambda: _crowded(found, threads),
        lambda: _others(found, threads),
        lambda: _steal(found),
        lambda: _throttled(found),
        lambda: _swapped(found),
        lambda: _stalled(found),
        lambda: _heat(found),
        lambda: _lowered(found),
        lambda: _hyperthreads(found, threads),
        lambda: _little_memory(found),
        lambda: _governor(found),
        lambda: _turbo(found),
        lambda: _clock_limit(found),
        lambda: _battery(found),
        lambda: _warming(found),
    )
    made = [doubt for doubt in (check() for check in checks) if doubt]
    return tuple(sorted(made, key=lambda doubt: not doubt.invalid))


def _allowed(found: Conditions) -> int | None:
    cpus = len(found.cpus) if found.cpus else None
    if cpus and found.quota_cpus:
        return max(1, min(cpus, math.ceil(found.quota_cpus)))
    return cpus


def _crowded(found: Conditions, threads: int) -> Doubt | None:
    allowed = _allowed(found)
    if not allowed or threads <= allowed:
        return None
    what = f"{threads} threads share the {_cpus(allowed)} that this process may use"
    return Doubt(what, f"Use `--threads {allowed}`.")


def _others(found: Conditions, threads: int) -> Doubt | None:
    if found.others_cpus is None or not found.cpus:
        return None
    cpus, used = len(found.cpus), found.others_cpus
    needed = min(threads, cpus)
    invalid = used - (cpus - needed) > _OTHERS_SHARE * needed
    if not invalid and used < _OTHERS_NOTE:
        return None
    what = f"other processes kept {used:.2f} of {_cpus(cpus)} busy"
    if found.busiest and found.busiest[0].cpus >= _MOST_SHARE * used:
        most = found.busiest[0]
        what += f", most of all {most.name} (process {most.pid}) with {most.cpus:.2f}"
    left = cpus - math.ceil(used)
    leave = f", or leave them a CPU with `--threads {left}`" if 0 < left < threads else ""
    return Doubt(what, f"End the other processes or wait{leave}.", invalid)


def _steal(found: Conditions) -> Doubt | None:
    share = found.steal_share or 0.0
    if share < _STEAL_NOTE:
        return None
    what = f"the hypervisor gave {100 * share:.1f} % of this machine's CPU time to others (steal)"
    remedy = "Use a machine whose CPUs are its own, or measure at another time."
    return Doubt(what, remedy, share > _STEAL_SHARE)


def _throttled(found: Conditions) -> Doubt | None:
    if not found.throttled_periods or not found.periods:
        return None
    quota = f" of {found.quota_cpus:g} CPUs" if found.quota_cpus else ""
    what = (
        f"the cgroup's quota{quota} was used up in {found.throttled_periods} of {found.periods} "
        "periods, and all threads waited"
    )
    fewer = f"Use `--threads {max(1, int(found.quota_cpus or 1))}`"
    remedy = f"{fewer}, or grant more CPU time, as with `docker run --cpus 4`."
    return Doubt(what, remedy, found.throttled_periods / found.periods > _THROTTLED_SHARE)


def _swapped(found: Conditions) -> Doubt | None:
    swapped = found.swapped_in_bytes or 0
    if swapped < _SWAP_BYTES_EACH_SECOND:
        return None
    what = f"{swapped / 1e6:,.0f} MB were read back from swap"
    remedy = "End what takes the memory: `ps aux --sort=-rss | head` names it."
    return Doubt(what, remedy, swapped > _SWAP_BYTES_EACH_SECOND * found.seconds)


def _stalled(found: Conditions) -> Doubt | None:
    share = found.memory_stall_share or 0.0
    if share <= _STALL_SHARE:
        return None
    what = f"processes waited for memory {100 * share:.0f} % of the time"
    return Doubt(what, "End what takes the memory: `ps aux --sort=-rss | head` names it.")


def _heat(found: Conditions) -> Doubt | None:
    if not found.heat_throttles:
        return None
    times = "once" if found.heat_throttles == 1 else f"{found.heat_throttles} times"
    remedy = "Let it cool, or lower the clock first: `sudo cpupower frequency-set --max 2GHz`."
    return Doubt(f"the CPU was throttled for its heat {times}", remedy)


def _lowered(found: Conditions) -> Doubt | None:
    if not found.clock_lowered:
        return None
    remedy = "Cool the machine, or use a stronger power supply."
    return Doubt("the CPU's clock was lowered, for heat or want of power", remedy)


def _hyperthreads(found: Conditions, threads: int) -> Doubt | None:
    cores = found.physical_cores
    if not cores or threads <= cores or threads > len(found.cpus or ()):
        return None
    what = f"{threads} threads share {cores} physical core{'s' * (cores > 1)} as hyperthreads"
    return Doubt(what, f"`--threads {cores}` gives each a core of its own.", invalid=False)


def _little_memory(found: Conditions) -> Doubt | None:
    available, total = found.available_bytes, found.memory_bytes
    if available is None or not total or available >= _AVAILABLE_SHARE * total:
        return None
    what = f"only {available / 1e6:,.0f} MB of memory were left"
    return Doubt(what, "`ps aux --sort=-rss | head` names what takes it.", invalid=False)


def _governor(found: Conditions) -> Doubt | None:
    if found.governor in (None, "performance"):
        return None
    driver = f" ({found.driver})" if found.driver else ""
    what = f"the governor '{found.governor}'{driver} lowers the clock between calls"
    return Doubt(what, f"{_FIX_CLOCK} keeps it up.", invalid=False)


def _turbo(found: Conditions) -> Doubt | None:
    if not found.turbo:
        return None
    files = "/sys/devices/system/cpu"
    switch = f"echo 0 | sudo tee {files}/cpufreq/boost"
    if found.driver and found.driver.startswith("intel_"):
        switch = f"echo 1 | sudo tee {files}/intel_pstate/no_turbo"
    what = "turbo is on, so that the clock depends on the CPU's temperature"
    return Doubt(what, f"`{switch}` turns it off.", invalid=False)


def _clock_limit(found: Conditions) -> Doubt | None:
    if found.clock_limit is None or found.clock_limit >= _CLOCK_SHARE:
        return None
    what = f"the clock is limited to {100 * found.clock_limit:.0f} % of what the CPU can do"
    return Doubt(what, "`cpupower frequency-info` says to what.", invalid=False)


def _battery(found: Conditions) -> Doubt | None:
    if not found.on_battery:
        return None
    return Doubt("the machine runs on its battery, which lowers clocks", "Plug it in.", False)


def _warming(found: Conditions) -> Doubt | None:
    course = found.celsius
    if course is None or course.last - course.first < _WARMING_CELSIUS:
        return None
    what = f"the CPU warmed up from {course.first:.0f} to {course.last:.0f} °C"
    return Doubt(what, "Measure longer, such as with `--duration 60s`.", invalid=False)


def _cpus(count: int) -> str:
    return "1 CPU" if count == 1 else f"{count} CPUs"
