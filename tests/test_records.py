"""Records in JSON: strict in what is read, the same bytes for the same record."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from edgecnn import records
from edgecnn.errors import InputError


@dataclass(frozen=True)
class Inner:
    size: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    kind: Literal["a", "b"]
    share: float
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    free: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    error: records.MaybeNaN
    ratio: records.MaybeInfinite
    limit: float | None = None


@dataclass(frozen=True)
class Several:
    rows: tuple[Measured, ...]
    named: dict[str, Measured]
    one: Measured | None = None
    count: int = 0


FULL = Outer("a", 0.1, Inner(3, ("x", "y")), (Inner(1), Inner(2)), {"any": [1, None]})


def test_a_record_comes_back_as_it_was() -> None:
    text = records.to_json(FULL)
    assert records.from_json(Outer, text, where="x") == FULL
    assert records.to_json(records.from_json(Outer, text, where="x")) == text
    assert text.endswith(b"}\n")
    assert records.from_builtins(Outer, records.to_builtins(FULL), where="x") == FULL


def test_floats_that_json_has_no_word_for_come_back() -> None:
    infinite = Measured(1.5, math.inf)
    full = Several((infinite, Measured(0.5, 2.5, 3.5)), {"a": infinite}, infinite)
    text = records.to_json(full)
    assert b'"ratio": null' in text
    assert records.from_json(Several, text, where="x") == full
    (row,) = records.from_json(
        Several, records.to_json(Several((Measured(math.nan, 1.0),), {})), where="x"
    ).rows
    assert math.isnan(row.error)


def test_null_is_no_other_float() -> None:
    text = records.to_json(Outer("a", math.nan))
    with pytest.raises(InputError, match="Expected `float`, got `null`"):
        records.from_json(Outer, text, where="x")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"kind": "a", "share": 1, "shape": 2}', "nothing is called `shape`"),
        ('{"kind": "a", "share": 1, "inner": {"size": 1, "z": 2}}', "called `inner.z`"),
        ('{"kind": "a", "share": 1, "many": [{"size": 1}, {"size": 1, "z": 2}]}', "`many.z`"),
        ('{"kind": "c", "share": 1}', "Invalid enum value 'c'"),
        ('{"kind": "a", "share": "1"}', "Expected `float`, got `str`"),
        ('{"kind": "a", "share": true}', "Expected `float`, got `bool`"),
        ('{"kind": "a", "share": null}', "Expected `float`, got `null`"),
        ('{"kind": "a", "share": 1, "inner": {"size": 1.5}}', "Expected `int`, got `float`"),
        ('{"kind": "a"}', "missing required field `share`"),
        ("[1]", "is not a JSON object"),
        ("{", "is not a JSON object"),
        ("", "is not a JSON object"),
        ('"\udcff"', "is not a JSON object"),
    ],
)
def test_what_is_not_this_record_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        records.from_json(Outer, text.encode(errors="surrogateescape"), where="some file")
    assert str(caught.value).startswith("some file is not")
    assert problem in str(caught.value)


def test_free_dictionaries_hold_any_key() -> None:
    text = b'{"kind": "a", "share": 1, "free": {"x": {"y": 1}}}'
    assert records.from_json(Outer, text, where="x").free == {"x": {"y": 1}}


def test_json_has_no_word_for_infinity() -> None:
    assert b'"share": null' in records.to_json(Outer("a", math.inf))


def test_a_schema_names_every_field() -> None:
    text = str(records.schema(Outer))
    assert all(name in text for name in ("kind", "share", "inner", "many", "size"))


def test_digests_of_bytes_and_files_agree(tmp_path: Path) -> None:
    content = b"0123456789" * 300_000
    (tmp_path / "x").write_bytes(content)
    assert records.file_sha256(tmp_path / "x") == records.sha256(content)
    assert records.sha256(b"abc")[:16] == "ba7816bf8f01cfea"  # FIPS 180-4


def test_numbers_share_a_line_and_strings_stay_as_they_are() -> None:
    free = {"n": [1, -2.5, 1e300], "s": ["[\n1,\n2\n]", "[1, 2]"], "empty": []}
    text = records.to_json(Outer("a", 1.0, free=free))
    assert b'"n": [1, -2.5, 1e300],\n' in text
    assert records.from_json(Outer, text, where="x").free == free


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_list_may_be_written_as_it_comes(count: int) -> None:
    items = [{"name": "a\nb", "values": [1, 2.5], "empty": []} for _ in range(count)]
    body: dict[str, object] = {"before": [], "empty": {}, "items": []}
    asked: list[int] = []

    def one_by_one() -> Iterator[object]:
        for number, item in enumerate(items):
            asked.append(number)
            yield item

    written: list[bytes] = []
    for piece in records.stream_json({"kind": "x", "body": body}, one_by_one()):
        assert len(asked) == len(written) or len(written) == count + 1
        written.append(piece)
    assert b"".join(written) == records.to_json({"kind": "x", "body": {**body, "items": items}})


def test_a_record_on_one_line() -> None:
    assert (
        records.to_json_line({"a": "x\ny", "b": [float("nan"), 1]})
        == b'{"a":"x\\ny","b":[null,1]}\n'
    )
