"""The section that says what the machine was like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.bundle import Bundle
from edgecnn.conditions import Busy, Conditions, Course, Doubt
from edgecnn.reporting import report
from edgecnn.reporting.material import collect
from edgecnn.reporting.sections import conditions
from tests.reporting.conftest import HOSTILE, keep
from tests.reporting.invented import timed
from tests.reporting.test_browser import ask, show

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

DISTURBED = Conditions(
    seconds=12.5,
    looks=6,
    cpus=(0, 1, 2, 3),
    physical_cores=2,
    others_cpus=1.25,
    busiest=(Busy(HOSTILE, 4711, 1.1),),
    steal_share=0.012,
    quota_cpus=1.5,
    periods=120,
    throttled_periods=30,
    governor="powersave",
    turbo=True,
    megahertz=Course(3000, 2500, 2000, 3100),
    celsius=Course(50, 71, 50, 72),
    heat_throttles=2,
    memory_bytes=8_000_000_000,
    available_bytes=2_000_000_000,
    swapped_in_bytes=0,
    memory_stall_share=0.0,
)
DOUBTS = (
    Doubt("other processes kept 1.25 of 4 CPUs busy", "End them, or `--threads 2`."),
    Doubt("turbo is on", "`echo 0` turns it off.", invalid=False),
)


def test_what_was_read_stands_there_in_words(session_bundle: Callable[[str], Bundle]) -> None:
    bundle = session_bundle("disturbed")
    body = timed(["fp32"])
    keep("bench", replace(body, conditions=DISTURBED, doubts=DOUBTS), bundle)
    section = conditions.build(collect(bundle))
    assert section is not None
    values = section.values
    assert values["invalid"] == (
        ("Other processes kept 1.25 of 4 CPUs busy.", "End them, or `--threads 2`."),
    )
    assert values["notes"] == (("Turbo is on.", "`echo 0` turns it off."),)
    rows = dict(values["table"].rows)  # type: ignore[attr-defined]
    assert rows["CPUs allowed"] == "0-3 on 2 physical cores"
    assert rows["load of others"] == "1.25 CPUs"
    assert rows["of these, process 4711"] == f"{HOSTILE}, 1.10 CPUs"
    assert rows["periods throttled"] == "30 of 120"
    assert rows["clock between turns"] == "3,000 to 2,500 MHz, lowest 2,000, highest 3,100"
    assert rows["turbo"] == "on"
    text = Path(report(bundle).path).read_text("utf-8")
    assert "<b>name</b>" not in text
    assert "<code>--threads 2</code>" in text


def test_what_is_not_known_is_called_so(session_bundle: Callable[[str], Bundle]) -> None:
    bundle = session_bundle("unknown")
    keep("bench", replace(timed(["fp32"]), conditions=Conditions(3.0, 2)), bundle)
    section = conditions.build(collect(bundle))
    assert section is not None
    rows = dict(section.values["table"].rows)  # type: ignore[attr-defined]
    assert rows["governor"] == rows["turbo"] == rows["temperature"] == "not known"
    assert "load of others" not in rows


def test_where_nobody_looked_there_is_no_section(session_bundle: Callable[[str], Bundle]) -> None:
    bundle = session_bundle("blind")
    keep("bench", timed(["fp32"]), bundle)
    assert conditions.build(collect(bundle)) is None


def test_a_long_remedy_fits_a_phone(
    browser: Chrome, session_bundle: Callable[[str], Bundle]
) -> None:
    bundle = session_bundle("phone")
    switch = "`echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost` turns it off."
    doubts = (Doubt("turbo is on", switch, invalid=False), *DOUBTS)
    keep("bench", replace(timed(["fp32"]), conditions=DISTURBED, doubts=doubts), bundle)
    show(browser, Path(report(bundle).path), width=320)
    assert ask(browser, "return document.documentElement.scrollWidth") <= 320
