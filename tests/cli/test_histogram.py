"""Times of calls as one line of characters for each variant, on one axis."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.cli._histogram import histograms
from edgecnn.cli._show import microseconds

WIDTH = 54  # 40 bars, and what lies beyond


def drawn(**samples: list[float]) -> dict[str, str]:
    return dict(histograms(samples, WIDTH, microseconds))


def test_variants_share_an_axis() -> None:
    lines = drawn(fast=[10e-6] * 100, slow=[20e-6] * 100)
    assert lines["fast"].startswith("█")
    assert lines["slow"].rstrip().endswith("█")
    assert len(lines["slow"].rstrip()) == 40
    assert lines[""].split() == ["10.0", "µs", "20.0", "µs"]
    assert len(lines[""]) == 40


def test_what_lies_beyond_the_axis_is_said() -> None:
    lines = drawn(steady=[10e-6] * 100, late=[10e-6] * 97 + [1.0] * 3)
    assert lines["late"].endswith("  3 % beyond")
    assert "beyond" not in lines["steady"]
    assert max(map(len, lines.values())) <= WIDTH


def test_the_axis_ends_at_four_medians() -> None:
    times = [10e-6] * 60 + [1e-3] * 40
    assert drawn(two=times)[""].endswith(" 40.0 µs")
    assert drawn(two=times)["two"].endswith(" 40 % beyond")


def test_one_slow_call_among_thousands_shows() -> None:
    times = np.full(5000, 10e-6)
    times[0] = 15e-6
    line = drawn(one=times.tolist(), other=[20e-6] * 100)["one"]
    assert line.strip()[0] == "█"
    assert line.strip()[-1] == "▁"


@pytest.mark.parametrize("seconds", [1e-9, 3.0])
def test_times_that_are_all_alike(seconds: float) -> None:
    lines = drawn(alike=[seconds] * 3)
    assert lines["alike"].startswith("█")
    assert len(lines) == 2
