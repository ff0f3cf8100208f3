"""The published schemas: what the dataclasses are, what real documents are, and older reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from edgecnn.errors import InputError
from edgecnn.records import to_json
from edgecnn.reports import read_body, read_report, version_of
from edgecnn.schemas import making, published, read_schema

KINDS = making.kinds()
OLDER = sorted((Path(__file__).parent / "older").glob("*.json"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_newest_schema_is_what_the_dataclass_is(kind: str) -> None:
    """A change makes a new version: see what `make schemas` says."""
    version = version_of(KINDS[kind])
    assert published()[kind][-1] == version
    now = to_json(making.schema_of(kind, KINDS[kind], version))
    assert to_json(read_schema(kind)) == now, "make schemas"


def test_every_schema_is_one_and_has_a_name_of_its_own() -> None:
    names = [f"{kind}-{version}" for kind, all_ in published().items() for version in all_]
    schemas = [read_schema(name) for name in names]
    for name, schema in zip(names, schemas, strict=True):
        Draft202012Validator.check_schema(schema)
        kind, _, version = name.rpartition("-")
        assert schema["$id"] == f"urn:edgecnn:schema:{kind}:{version}"
        assert f"version {version}" in schema["title"]
    assert {"bench", "doctor", "manifest", "predict-line", "train"} <= published().keys()
    assert set(published()) == set(KINDS)


def test_what_a_field_means_is_what_its_docstring_says() -> None:
    body: dict[str, Any] = read_schema("parity")["$defs"]["ParityReport"]
    assert body["properties"]["images"]["description"] == "How many inputs there were."
    measured = read_schema("parity")["$defs"]["Agreement"]
    assert measured["properties"]["sqnr_db"]["type"] == ["number", "null"]
    assert "equal outputs, which JSON" in measured["properties"]["sqnr_db"]["description"]
    assert measured["properties"]["images"]["type"] == "integer"


@pytest.mark.parametrize("path", OLDER, ids=lambda path: path.stem)
def test_an_older_report_is_what_was_published_and_still_loads(path: Path) -> None:
    kind, _, version = path.stem.rpartition("-")
    document = json.loads(path.read_bytes())
    Draft202012Validator(read_schema(path.stem)).validate(document)
    report = read_report(path)
    assert (report.kind, report.body_version) == (kind, int(version))
    body: object = read_body(report, KINDS[kind])
    assert isinstance(body, KINDS[kind])


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "eval"},
        {"body_version": 9},
        {"body": {}},
        {"other": 1},
        {"created": None},
    ],
    ids=str,
)
def test_a_schema_refuses_what_is_no_such_report(change: dict[str, Any]) -> None:
    document = json.loads(OLDER[0].read_bytes())
    assert document["kind"] == "bench"
    with pytest.raises(ValidationError):
        Draft202012Validator(read_schema("bench-1")).validate(document | change)


def test_a_name_that_there_is_not_is_refused() -> None:
    for name in ("latency", "bench-99", "../records", ""):
        with pytest.raises(InputError, match="There is no schema"):
            read_schema(name)


def test_a_published_schema_changes_in_its_words_only(tmp_path: Path) -> None:
    assert making.write_schemas(tmp_path) == []
    path = tmp_path / "parity-2.json"
    right = path.read_text()
    path.write_text(right.replace("How many inputs there were.", "Their number."))
    assert making.write_schemas(tmp_path) == []
    assert path.read_text() == right
    wrong = right.replace('"seed"', '"grain"')
    path.write_text(wrong)
    assert making.write_schemas(tmp_path) == ["parity-2"]
    assert path.read_text() == wrong
