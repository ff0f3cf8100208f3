"""The shelves: files loaded by path, a user's own and the shelf's, and nothing left behind."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgecnn import shelves
from edgecnn.errors import EdgeCNNError, InputError

NET = """
from __future__ import annotations
from dataclasses import dataclass
from . import layers

@dataclass(frozen=True)
class Net:
    width: int = layers.WIDTH
    # Resolving this name needs the module in sys.modules while it runs.
    inner: Net | None = None

def factory() -> Net:
    return Net()
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "my net").mkdir()
    (tmp_path / "my net" / "layers.py").write_text("WIDTH = 7")
    path = tmp_path / "my net" / "my-net.v2.py"
    path.write_text(NET)
    return path


def test_a_users_file_is_loaded_with_its_neighbours(
    net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    module, factory = shelves.load_attribute(f"{net}:factory")
    assert callable(factory)
    assert factory().width == 7
    assert module.__name__ in sys.modules
    assert shelves.load_attribute(str(net))[1] is module.Net
    assert shelves.load_file(net) is module
    assert [path.name for path in net.parent.rglob("*")].count("__pycache__") == 0
    assert not sys.dont_write_bytecode


def test_two_folders_do_not_mix(net: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "layers.py").write_text("WIDTH = 9")
    (other / net.name).write_text(NET)
    widths = [shelves.load_file(path).Net().width for path in (net, other / net.name)]
    assert widths == [7, 9]


def test_a_missing_factory_says_what_there_is(net: Path) -> None:
    with pytest.raises(InputError, match="has nothing called 'make'") as caught:
        shelves.load_attribute(f"{net}:make")
    assert "it defines Net, factory" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("raise ValueError('no luck')", "ValueError: no luck"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("def (:", "SyntaxError"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("from . import no_such_neighbour", "ImportError"),
    ],
)
def test_a_file_that_fails_is_an_error_each_time(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "net.py"
    path.write_text(text)
    for _ in range(2):
        with pytest.raises(InputError, match="fails when it is imported") as caught:
            shelves.load_file(path)
        assert problem in caught.value.problem
    path.write_text("Net = 3")
    assert shelves.load_attribute(str(path))[1] == 3


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        shelves.load_attribute(f"{tmp_path}/absent.py:Net")


def test_a_module_is_loaded_by_its_name() -> None:
    assert shelves.load_attribute("fractions:Fraction")[1] is __import__("fractions").Fraction


@pytest.mark.parametrize("name", ["no_such_package.net", "json.no_such", "", ".relative"])
def test_a_module_that_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(InputError):
        shelves.load_attribute(f"{name}:Net")


def test_a_module_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_net.py").write_text("import no_such_package")
    (tmp_path / "leaving_net.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with pytest.raises(InputError, match="fails when it is imported: ModuleNotFound"):
        shelves.load_attribute("failing_net:Net")
    with pytest.raises(InputError, match="fails when it is imported: SystemExit"):
        shelves.load_attribute("leaving_net:Net")


def test_the_shelves_stand_beside_the_package() -> None:
    assert "lenet" in shelves.names("models", "recipe.toml")
    assert shelves.model_folder("lenet").name == "lenet"
    with pytest.raises(InputError, match="There is no model 'nonet' on the shelf") as caught:
        shelves.model_folder("nonet")
    assert "lenet" in caught.value.remedy


def test_every_runtime_on_the_shelf_loads() -> None:
    names = shelves.runtime_names()
    assert {"ort", "reference"} <= set(names)
    assert [shelves.load_runtime(name).NAME for name in names] == names
    with pytest.raises(InputError, match="There is no runtime 'abacus'") as caught:
        shelves.load_runtime("abacus")
    assert "ort, reference" in caught.value.remedy


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_users_own_runtime_is_loaded_by_path(tmp_path: Path, what: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "runtime.py").write_text("NAME = 'mine'")
    name = "mine" if what == "folder" else "mine/runtime.py"
    assert shelves.load_runtime(f"{tmp_path}/{name}").NAME == "mine"


def test_runtimes_come_in_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "abacus_runtime.py").write_text("NAME = 'abacus'")
    (tmp_path / "broken_runtime.py").write_text("raise OSError('libabacus.so is missing')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    points = EntryPoints(
        EntryPoint(name, f"{name}_runtime", "edgecnn.runtimes") for name in ("abacus", "broken")
    )
    monkeypatch.setattr(shelves, "entry_points", lambda group: points.select(group=group))
    assert {"abacus", "broken", "ort"} <= set(shelves.runtime_names())
    loaded: Any = shelves.load_runtime("abacus")
    assert isinstance(loaded, ModuleType)
    assert loaded.NAME == "abacus"
    with pytest.raises(EdgeCNNError, match=r"'broken' .* OSError: libabacus\.so is missing"):
        shelves.load_runtime("broken")
