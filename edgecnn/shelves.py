"""What stands on the shelves `models/` and `runtimes/`, and loading Python files by path.

A folder put on a shelf is there; no list is kept. Shelf files and a user's own files are loaded
the same way: into a package of their own, entered in `sys.modules` before they run.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from edgecnn.errors import InputError

_HERE = Path(__file__).parent
_RUNTIME_GROUP = "edgecnn.runtimes"


def shelf(name: str) -> Path:
    """Give the folder of a shelf, `models` or `runtimes`.

    In a wheel the shelves lie inside the package; in a checkout, beside it.
    """
    inside = _HERE / "_shelves" / name
    return inside if inside.is_dir() else _HERE.parent / name


def names(shelf_name: str, file: str) -> list[str]:
    """List the folders on a shelf that hold a certain file, sorted."""
    return sorted(path.parent.name for path in shelf(shelf_name).glob(f"*/{file}"))


def load_runtime(name: str) -> Any:
    """Load a runtime's adapter.

    Args:
        name: A folder on the shelf, an entry point of the group `edgecnn.runtimes`, or a path to
            a folder with a `runtime.py` (anything with a slash, or an existing `.py` file).

    Raises:
        InputError: There is no such runtime, or it fails when it is imported.
    """
    if _looks_like_path(name):
        path = Path(name)
        return load_file(path if path.suffix == ".py" else path / "runtime.py")
    if name in names("runtimes", "runtime.py"):
        return load_file(shelf("runtimes") / name / "runtime.py")
    for point in entry_points(group=_RUNTIME_GROUP):
        if point.name == name:
            with _failures(f"The runtime '{name}' ({point.value})"):
                return point.load()
    raise InputError(
        f"There is no runtime '{name}'.",
        f"Use one of {', '.join(runtime_names())}, or a folder that holds a runtime.py.",
    )


def runtime_names() -> list[str]:
    """List every runtime: on the shelf and by entry point, sorted."""
    found = {point.name for point in entry_points(group=_RUNTIME_GROUP)}
    return sorted(found | set(names("runtimes", "runtime.py")))


def model_folder(name: str) -> Path:
    """Give the folder of a model on the shelf.

    Raises:
        InputError: There is no such model.
    """
    if name in names("models", "model.py"):
        return shelf("models") / name
    raise InputError(
        f"There is no model '{name}' on the shelf.",
        f"Use one of {', '.join(names('models', 'model.py'))}, FILE.py:factory, "
        "package.module:factory, torchvision:NAME or timm:NAME.",
    )


def load_file(path: Path) -> ModuleType:
    """Load a Python file into a package of its own, so that `from . import neighbour` works.

    The same file is loaded once in a process.

    Raises:
        InputError: The file is missing, or fails when it is imported.
    """
    path = path.resolve()
    if not path.is_file():
        raise InputError(f"There is no file {path}.", "Check the path.")
    package = f"edgecnn_shelf_{hashlib.sha256(str(path.parent).encode()).hexdigest()[:12]}"
    name = f"{package}.{path.stem.replace('.', '_')}"
    if name in sys.modules:
        return sys.modules[name]
    if package not in sys.modules:
        sys.modules[package] = _package(package, path.parent)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _failures(str(path)), _no_bytecode():
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def load_attribute(reference: str) -> tuple[ModuleType, object]:
    """Load `FILE.py:NAME` or `package.module:NAME`; NAME is `Net` if left out.

    Raises:
        InputError: The file, module or name is missing.
    """
    place, _, attribute = reference.partition(":")
    attribute = attribute or "Net"
    if place.endswith(".py") or _looks_like_path(place):
        module = load_file(Path(place))
    else:
        with _failures(f"The module '{place}'"):
            module = _import(place)
    if not hasattr(module, attribute):
        raise InputError(
            f"{place} has nothing called '{attribute}'.",
            f"Write {place}:FACTORY, where FACTORY is a class or function that returns the net; "
            f"it defines {', '.join(_public_callables(module)) or 'none'}.",
        )
    return module, getattr(module, attribute)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (ModuleNotFoundError, TypeError, ValueError) as error:
        missing = getattr(error, "name", name) or name
        if not f"{name}.".startswith(f"{missing}."):
            raise  # the module is there and lacks another one
        raise InputError(
            f"There is no module '{name}'.", "Check the name, or give a path that ends in .py."
        ) from error


@contextmanager
def _failures(what: str) -> Iterator[None]:
    # stdout is for results: what a foreign file prints there would end up in a JSON document.
    try:
        with redirect_stdout(sys.stderr):
            yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{what} fails when it is imported: {type(error).__name__}: {error}.",
            "Mend it, or run it with Python alone to see where it fails.",
        ) from error


@contextmanager
def _no_bytecode() -> Iterator[None]:
    # Neither a shelf nor a user's folder is ours to write a __pycache__ into.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _package(name: str, folder: Path) -> ModuleType:
    package = ModuleType(name)
    package.__path__ = [str(folder)]
    return package


def _looks_like_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.startswith(".") or text.endswith(".py")


def _public_callables(module: ModuleType) -> Iterator[str]:
    for name, value in vars(module).items():
        if callable(value) and getattr(value, "__module__", "") == module.__name__:
            yield name
