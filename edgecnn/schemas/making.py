"""Making the schemas from the dataclasses, with their docstrings as descriptions."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from importlib import import_module
from pathlib import Path
from typing import Any

from edgecnn.records import NullIs, parse_json, to_json
from edgecnn.reports import SCHEMA_VERSION, Report, version_of
from edgecnn.schemas.published import FOLDER

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# All others are the body of a report.
_BARE = ("manifest", "predict-line")
_PACKAGE = FOLDER.parent
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def kinds() -> dict[str, type]:
    """Give the dataclass of each kind of document; they are found by their `KIND`."""
    found = {}
    for path in sorted(_PACKAGE.rglob("*.py")):
        if re.search(r"^    KIND: ClassVar\[str\] = ", path.read_text("utf-8"), re.MULTILINE):
            for record in vars(import_module(_module(path))).values():
                if _is_kind(record, _module(path)):
                    found[record.KIND] = record
    return found


def write_schemas(folder: Path = FOLDER) -> list[str]:
    """Write the schemas; one that is published may change in its words only.

    Returns:
        Names of those that would change in what they allow. They are left as they are.
    """
    changed = []
    for kind, record in kinds().items():
        name = f"{kind}-{version_of(record)}"
        path, text = folder / f"{name}.json", to_json(schema_of(kind, record, version_of(record)))
        if not path.exists():
            path.write_bytes(text)
        elif _structure(parse_json(path.read_bytes(), where=name)) != _structure(
            parse_json(text, where=name)
        ):
            changed.append(name)
        else:
            path.write_bytes(text)
    return changed


def schema_of(kind: str, record: type, version: int) -> dict[str, Any]:
    """Give the JSON Schema of a whole document.

    Args:
        kind: Which document, such as `bench`.
        record: Its dataclass, or that of the report's body.
        version: Version of its layout.
    """
    import msgspec

    (reference,), parts = msgspec.json.schema_components([record], ref_template="#/$defs/{name}")
    classes = {name: each for each in _classes(record) for name in _names(each)}
    parts = {name: _described(part, classes.get(name)) for name, part in parts.items()}
    body = {"$ref": reference["$ref"]}
    bare = kind in _BARE
    title = f"{kind} of edgecnn" if bare else f"report of `edgecnn {kind}`"
    head = {
        "$schema": _DIALECT,
        "$id": f"urn:edgecnn:schema:{kind}:{version}",
        "title": f"{title[0].upper()}{title[1:]}, version {version}",
    }
    return head | (body if bare else _report(kind, version, body)) | {"$defs": parts}


def _report(kind: str, version: int, body: dict[str, Any]) -> dict[str, Any]:
    import msgspec

    _, parts = msgspec.json.schema_components([Report], ref_template="#/$defs/{name}")
    whole = _described(parts.pop("Report"), Report)
    fields = whole["properties"]
    fields["schema_version"] |= {"minimum": 1, "maximum": SCHEMA_VERSION}
    fields["kind"] |= {"const": kind}
    fields["body_version"] |= {"const": version}
    fields["machine"] = {**_machine(), "description": fields["machine"]["description"]}
    fields["body"] = {**body, "description": fields["body"]["description"]}
    # The first reports did not say what was the first version.
    whole["required"] = [name for name in fields if version > 1 or name != "body_version"]
    return whole


def _machine() -> dict[str, Any]:
    import msgspec

    from edgecnn.machine import Machine

    _, parts = msgspec.json.schema_components([Machine], ref_template="#/$defs/{name}")
    return _described(parts["Machine"], Machine)


def _described(part: dict[str, Any], record: type | None) -> dict[str, Any]:
    """Add what the docstring says, and refuse keys that nobody knows, as the reader does."""
    if record is None:
        return part
    summary, _, attributes = inspect.cleandoc(record.__doc__ or "").partition("\nAttributes:\n")
    described = {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(attributes)}
    hints = typing.get_type_hints(record, include_extras=True)
    fields = {
        name: {**field, **_nullable(hints[name])}
        | ({"description": described[name]} if name in described else {})
        for name, field in part["properties"].items()
    }
    summary = "\n\n".join(" ".join(lines.split()) for lines in summary.strip().split("\n\n"))
    return {
        "type": "object",
        "description": summary,
        "properties": fields,
        "required": part["required"],
        "additionalProperties": False,
    }


def _structure(part: Any) -> Any:
    if isinstance(part, list):
        return [_structure(each) for each in part]
    if not isinstance(part, dict):
        return part
    # A description is text; a field of that name is not.
    return {
        key: _structure(value)
        for key, value in part.items()
        if key != "description" or not isinstance(value, str)
    }


def _nullable(hint: Any) -> dict[str, Any]:
    marks = getattr(hint, "__metadata__", ())
    return {"type": ["number", "null"]} if any(isinstance(mark, NullIs) for mark in marks) else {}


def _classes(kind: Any, seen: set[type] | None = None) -> set[type]:
    """Give every dataclass that a type is made of."""
    seen = set() if seen is None else seen
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind not in seen:
        seen.add(kind)
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            _classes(hints[field.name], seen)
    for part in typing.get_args(kind):
        _classes(part, seen)
    return seen


def _names(record: type) -> tuple[str, str]:
    # Two of one name are told apart by their modules.
    return record.__name__, f"{record.__module__}.{record.__name__}"


def _module(path: Path) -> str:
    parts = path.relative_to(_PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_kind(record: Any, module: str) -> bool:
    return "KIND" in getattr(record, "__dict__", {}) and record.__module__ == module
