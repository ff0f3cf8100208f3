"""What commands write and print, held against the schemas; `type_command` does it everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from edgecnn.schemas import read_schema


def test_a_manifest(make_bundle: Any) -> None:
    manifest = json.loads((make_bundle().folder / "manifest.json").read_bytes())
    Draft202012Validator(read_schema("manifest")).validate(manifest)


def test_what_bench_keeps_and_prints(
    make_bundle: Any, type_command: Any, hold_to_schema: Any, tmp_path: Path
) -> None:
    folder, file = make_bundle().folder, tmp_path / "bench.json"
    done = type_command(
        "bench", folder, "--iterations", 5, "--threads", 1, "--output", file, "--json"
    )
    assert done.code in (0, 5)
    (kept,) = (folder / "reports").iterdir()
    hold_to_schema(kept.read_bytes())
    assert file.read_text() == kept.read_text() == done.out


@pytest.mark.parametrize("command", ["parity", "eval", "verify", "inspect", "doctor", "report"])
def test_what_other_commands_keep_and_print(
    make_bundle: Any, type_command: Any, hold_to_schema: Any, command: str
) -> None:
    folder = make_bundle().folder
    done = type_command(command, *([] if command == "doctor" else [folder]), "--json")
    assert json.loads(done.out)["kind"] == command
    for kept in (folder / "reports").glob("*.json"):
        hold_to_schema(kept.read_bytes())


def test_lines_and_a_stream_of_predictions(
    make_bundle: Any, type_command: Any, tiny_net: Any, tmp_path: Path
) -> None:
    from PIL import Image

    for index in range(2):
        Image.fromarray(tiny_net.images[index]).save(tmp_path / f"{index}.png")
    (tmp_path / "2.png").write_bytes(b"no picture")
    given = ("predict", tmp_path, "--bundle", make_bundle().folder)
    validator = Draft202012Validator(read_schema("predict-line"))
    lines = type_command(*given, "--jsonl").out.splitlines()
    assert len(lines) == 3
    for line in lines:
        validator.validate(json.loads(line))
    assert json.loads(type_command(*given, "--json").out)["kind"] == "predict"


def test_a_document_that_is_none_is_refused(hold_to_schema: Any) -> None:
    with pytest.raises(ValidationError):
        hold_to_schema('{"kind": "parity", "body_version": 1, "body": {}}')
