"""The wheel: exactly what belongs in it, and all that a device needs once it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgecnn import __version__, recipe, shelves

if TYPE_CHECKING:
    from tests.conftest import MakeBundle

ROOT = Path(__file__).parents[1]
# What a folder on a shelf may hold; anything else there is a stray file.
ON_SHELVES = {
    "models": {".md", ".py", ".safetensors", ".toml"},
    "runtimes": {".py", ".c", ".h", ".ld", ".template"},
}

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").is_file(), reason="needs the source tree"
)


def run(*command: object, **options: object) -> str:
    child = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert child.returncode == 0, child.stdout + child.stderr
    return str(child.stdout)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Install the wheel where only a child with this environment finds it."""
    target = tmp_path_factory.mktemp("installed")
    run("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", target, wheel)
    return {**os.environ, "PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"}


def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def expected() -> set[str]:
    suffixes = {".css", ".html", ".json", ".py"}
    package = {path for path in files(ROOT / "edgecnn") if path.suffix in suffixes}
    found = {str(path.relative_to(ROOT)) for path in package} | {"edgecnn/py.typed"}
    for shelf, suffixes in ON_SHELVES.items():
        for path in files(ROOT / shelf):
            assert path.suffix in suffixes, f"{path} is a stray file on a shelf"
            found.add(f"edgecnn/_shelves/{path.relative_to(ROOT)}")
    about = f"edgecnn-{__version__}.dist-info"
    for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"):
        found.add(f"{about}/{name}")
    return found


def files(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in found if "__pycache__" not in path.parts]


def test_the_wheel_holds_exactly_what_belongs_in_it(wheel: Path) -> None:
    assert names(wheel) == expected()
    assert {name.split("/")[0] for name in names(wheel)} == {
        "edgecnn",
        f"edgecnn-{__version__}.dist-info",
    }
    assert wheel.stat().st_size < 3_000_000


def test_the_wheel_passes_the_checker(wheel: Path) -> None:
    run("-m", "check_wheel_contents", wheel, cwd=ROOT)


def test_the_wheel_of_the_source_archive_is_the_same(wheel: Path, tmp_path: Path) -> None:
    run("-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        if hasattr(tarfile, "data_filter"):
            content.extractall(tmp_path, filter="data")
        else:  # as in Debian's Python 3.11; the archive is our own
            content.extractall(tmp_path)
    source = tmp_path / archive.name.removesuffix(".tar.gz")
    run("-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=source)
    (again,) = tmp_path.glob("*.whl")
    assert names(again) == names(wheel)


def test_what_the_wheel_requires(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        text = content.read(f"edgecnn-{__version__}.dist-info/METADATA").decode()
    about = Parser().parsestr(text)
    assert about["License-Expression"] == "Apache-2.0"
    needed = [line for line in about.get_all("Requires-Dist", []) if "extra ==" not in line]
    heavy = ("torch", "onnx", "openvino", "tensorflow")
    assert not [line for line in needed if line.startswith(heavy)]
    assert set(about.get_all("Provides-Extra", [])) >= {"all", "cpu", "cuda", "onnx", "train"}
    for extra in ("all", "cpu", "cuda"):
        lines = [line for line in about.get_all("Requires-Dist", []) if f"'{extra}'" in line]
        both = {line.split(">")[0].split("[")[0] for line in lines if "onnxruntime" in line}
        assert both != {"onnxruntime", "onnxruntime-gpu"}


def test_an_installed_wheel_works_with_its_shelves(installed: dict[str, str]) -> None:
    script = Path(installed["PYTHONPATH"]) / "bin" / "edgecnn"
    assert run(script, "--version", env=installed) == f"edgecnn {__version__}\n"
    code = """
from edgecnn import recipe, shelves
print(shelves.shelf("models"), *shelves.runtime_names(), *recipe.recipe_names(), sep="\\n")
for name in shelves.runtime_names():
    assert shelves.load_runtime(name).NAME == name
"""
    # Elsewhere than in the checkout: Python looks into the working folder first.
    place, *found = run("-c", code, env=installed, cwd=installed["PYTHONPATH"]).splitlines()
    assert place == str(Path(installed["PYTHONPATH"]) / "edgecnn" / "_shelves" / "models")
    assert found == [*shelves.runtime_names(), *recipe.recipe_names()]


ON_A_DEVICE = """
import sys

ABSENT = ("torch", "torchvision", "onnx", "onnx_ir", "onnxscript", "safetensors", "pytest")
sys.modules.update(dict.fromkeys(ABSENT))  # as if they were not installed
from pathlib import Path
import numpy as np
import edgecnn
assert Path(edgecnn.__file__).is_relative_to(sys.argv[2]), edgecnn.__file__

folder = sys.argv[1]
images = np.load(Path(folder) / "golden.npz")["images"]
for variant in ("fp32", "int8"):
    with edgecnn.load(folder, variant=variant) as predictor:
        assert len(predictor.predict(images)) == len(images)
        assert predictor.run(images).shape == (len(images), 4)
assert edgecnn.parity(folder).verdict.outcome == "pass"
assert len(edgecnn.evaluate(folder).variants) == 2

from edgecnn.cli import main
WORKS, MISSING = ("eval", "parity", "inspect", "doctor"), ("train", "export", "quantize")
for name in (*WORKS, *MISSING):
    try:
        main([name] if name in ("doctor", "train") else [name, folder])
    except SystemExit as stop:
        assert stop.code == (0 if name in WORKS else 3), name
assert not any(map(sys.modules.get, ABSENT))
"""


def test_a_device_needs_neither_torch_nor_onnx(
    installed: dict[str, str], make_bundle: MakeBundle
) -> None:
    folder = make_bundle().folder
    output = run("-c", ON_A_DEVICE, folder, installed["PYTHONPATH"], env=installed, cwd=folder)
    assert "Accuracy" in output
