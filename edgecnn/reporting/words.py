"""Numbers as people read them, for the page: filters of its templates."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

_UNIT = re.compile(r"(?<=\d) (?=(?:%|[µmn]?[sJW]|[kMG]?B|GB/s|GOP/s|dB|MHz|°C|points?)(?![\w/]))")


def percent(share: float, digits: int = 1) -> str:
    """Write a share of 1 as per cent: `0.8512` is `85.1 %`."""
    return f"{100 * share:.{digits}f} %"


def size(count: float) -> str:
    """Write bytes in B, kB, MB or GB, 1,000 to each."""
    if count < 1e3:
        return f"{count:.0f} B"
    if count >= 1e9:
        return f"{count / 1e9:.2f} GB"
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def time(seconds: float) -> str:
    """Write a time with three digits: µs below 1 ms, ms below 1 s."""
    if seconds < 1e-3:
        return f"{_three_digits(seconds * 1e6)} µs"
    return f"{_three_digits(seconds * 1e3)} ms" if seconds < 1 else f"{_three_digits(seconds)} s"


def time_range(low: float, high: float) -> str:
    """Write two times, with one unit where both have the same: `238 to 246 µs`."""
    (least, one), (most, other) = (time(each).split() for each in (low, high))
    return f"{least} to {most} {other}" if one == other else f"{least} {one} to {most} {other}"


def unbroken(value: Any) -> Any:
    """Keep each number of a text on one line with its unit; what is no plain text stays as it is.

    Markup is text that was made so before.
    """
    return _UNIT.sub("\N{NO-BREAK SPACE}", value) if type(value) is str else value


def full_stop(text: str) -> str:
    """End a text with a full stop, unless it has one."""
    return text if text.endswith(".") else f"{text}."


def when(created: str) -> str:
    """Write a time stamp (ISO 8601) as a date and time of day in UTC."""
    moment = datetime.fromisoformat(created.replace("Z", "+00:00")).astimezone(timezone.utc)
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _three_digits(value: float) -> str:
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
