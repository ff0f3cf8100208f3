"""Charts of whatever names there are."""

from __future__ import annotations

import altair

from edgecnn.reporting.charts import svg


def test_a_name_that_xml_does_not_know_is_drawn() -> None:
    rows = [{"class": "red\x1b[31m", "share": 0.5}, {"class": "\U0001f431", "share": 0.7}]
    chart = altair.Chart({"values": rows}).mark_bar().encode(x="share:Q", y="class:N")
    drawn = svg(chart, "names", 330, "two classes")
    assert "red\N{REPLACEMENT CHARACTER}[31m" in drawn
    assert "\U0001f431" in drawn
