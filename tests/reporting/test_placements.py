"""What the page says of where operators were computed."""

from __future__ import annotations

from dataclasses import replace

from edgecnn.gpu import Library
from edgecnn.placement import Copies, PlacedOperator, Placement, ProviderShare
from edgecnn.reporting.sections._placements import placement_tables
from tests.reporting.invented import timed

PLACEMENT = Placement(
    "cuda",
    5,
    (ProviderShare("cuda", 9, 90_000), ProviderShare("cpu", 1, 6_000)),
    (Copies("to host", 2, 4_000),),
    (PlacedOperator("det_7", "Det", "cpu", 6_000),),
    (Library("libcudart.so.13", "/opt/libcudart.so.13", "13.0.96"),),
)


def test_nothing_where_all_was_on_the_cpu() -> None:
    assert placement_tables(timed(("fp32",))) == ()


def test_shares_copies_and_libraries() -> None:
    body = timed(("fp32", "int8"))
    rows = (replace(body.variants[0], placement=PLACEMENT), *body.variants[1:])
    shares, libraries = placement_tables(replace(body, variants=rows))
    assert [row[1:3] for row in shares.rows] == [
        ("cuda", "9"),
        ("cpu", "1"),
        ("copied to host", "2"),
    ]
    assert [row[4] for row in shares.rows] == ["90.0 %", "6.0 %", "4.0 %"]
    assert libraries.rows == (("libcudart.so.13", "13.0.96", "/opt/libcudart.so.13"),)
