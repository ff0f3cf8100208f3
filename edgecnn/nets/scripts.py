"""What a Python file does when it is imported, read without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOOPS = (ast.For, ast.While, ast.AsyncFor)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)

# What a file may well call to define its constants, by the beginning of the name.
_HARMLESS = re.compile(
    r"(nn|functools|logging|pathlib|os\.environ|os\.path)\."
    r"|(torch\.(device|manual_seed|tensor)|os\.getenv"
    r"|partial|namedtuple|TypeVar|Path|dict|float|frozenset|int|len|list|range|set|tuple)$"
)


@dataclass(frozen=True)
class Deed:
    """Something that a file does when it is imported, beyond defining things.

    Attributes:
        file: The file.
        first: The line at which it begins.
        last: The line at which it ends.
        what: The end of the sentence "line N ...".
        trains: It trains a net, under no condition.
    """

    file: Path
    first: int
    last: int
    what: str
    trains: bool


def deeds(file: Path) -> list[Deed]:
    """List what a file and the files beside it that it imports do when they are imported.

    A file that cannot be read or parsed does nothing: importing it says why.
    """
    found: list[Deed] = []
    waiting, seen = [file], set[Path]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        found += _deeds(tree, path)
        waiting += _neighbours(tree, path.parent)
    return found


def _deeds(tree: ast.Module, path: Path) -> Iterator[Deed]:
    trainers = _trainers(tree)
    for statement, sure in _at_import(tree.body, sure=True):
        what, trains = _said(statement, trainers)
        if what:
            last = statement.end_lineno or statement.lineno
            yield Deed(path, statement.lineno, last, what, trains and sure)


def _at_import(body: Sequence[ast.stmt], *, sure: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """List the statements that run on import, and whether they surely do."""
    for statement in body:
        if isinstance(statement, ast.If):
            if not _main_guard(statement):
                yield from _at_import(statement.body, sure=False)
            yield from _at_import(statement.orelse, sure=_main_guard(statement))
        elif isinstance(statement, (ast.With, ast.Try)):
            yield from _at_import(statement.body, sure=sure)
        elif not isinstance(statement, _DEFINITIONS):
            yield statement, sure


def _said(statement: ast.stmt, trainers: set[str]) -> tuple[str, bool]:
    calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
    for call in calls:
        shown = _shown(call)
        if isinstance(statement, _LOOPS) and _learns(call):
            return f"loops over {shown}() outside any function", True
        if _name(call) in trainers:
            return f"calls {shown}(), which trains", True
        if _method(call) == "fit":
            return f"calls {shown}()", True
    if isinstance(statement, _LOOPS):
        return "loops outside any function", False
    doing = [name for name in map(_shown, calls) if not _HARMLESS.match(name)]
    return (f"calls {doing[0]}()", False) if doing else ("", False)


def _trainers(tree: ast.Module) -> set[str]:
    """Name the functions of a file that train, or call one that does."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    called = {
        name: [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        for name, function in functions.items()
    }
    found = {name for name, calls in called.items() if any(map(_learns, calls))}
    for _ in functions:
        more = {n for n, calls in called.items() if any(_name(call) in found for call in calls)}
        if more <= found:
            break
        found |= more
    return found


def _shown(call: ast.Call) -> str:
    return ast.unparse(call.func)[:40]


def _learns(call: ast.Call) -> bool:
    """Whether a call is one such as loss.backward() or optimizer.step()."""
    if _method(call) == "step":
        return "opt" in ast.unparse(call.func).lower()
    return _method(call) == "backward"


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _main_guard(statement: ast.If) -> bool:
    return "__name__" in ast.unparse(statement.test)


def _neighbours(tree: ast.Module, folder: Path) -> Iterator[Path]:
    for statement in tree.body:
        names: list[str] = []
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            names = [alias.name for alias in statement.names] if statement.level else []
            names.append(statement.module or "")
        for name in filter(None, names):
            place = folder.joinpath(*name.split("."))
            yield from (p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file())
