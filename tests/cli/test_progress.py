"""What a bar says: the share that is behind and the time that is left."""

from __future__ import annotations

import pytest
from rich.console import Console

from edgecnn.cli._progress import _Activity


def shown(activity: _Activity, width: int) -> list[str]:
    console = Console(width=width, color_system=None, file=None)
    with console.capture() as taken:
        console.print(activity.drawn(width))
    return [line.rstrip() for line in taken.get().splitlines()]


def after(seconds: float, share: float | None, left: float | None = None) -> _Activity:
    activity = _Activity()
    activity.began -= seconds
    activity.told("Working", share, left)
    return activity


def test_what_is_left_follows_from_what_is_behind() -> None:
    what, line = shown(after(30, 0.25), 80)
    assert what == "Working"
    assert line.endswith(" 25 %  0:30, about 1:30 left")
    assert len(line) <= 80


def test_who_knows_what_is_left_is_believed() -> None:
    assert shown(after(30, 0.25, 7200), 80)[1].endswith("0:30, about 2:00:00 left")


@pytest.mark.parametrize(("seconds", "share"), [(0.5, 0.5), (30, 0.001), (30, 0.0)])
def test_nothing_is_guessed_too_soon(seconds: float, share: float) -> None:
    assert "left" not in shown(after(seconds, share), 80)[1]


def test_without_a_share_there_is_no_bar() -> None:
    assert shown(after(30, None), 80) == ["Working  0:30"]


def test_the_next_part_begins_anew() -> None:
    activity = after(30, 0.9)
    activity.told("Next", 0.1, None)
    assert "left" not in shown(activity, 80)[1]
    assert shown(activity, 80)[1].endswith(" 10 %  0:00")


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_bar_fits(width: int) -> None:
    assert max(map(len, shown(after(30, 0.25), width))) <= width
    assert len(shown(after(30, 0.25), width)) <= 3
