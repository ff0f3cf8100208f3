"""What `edgecnn doctor` says, here and where next to nothing is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgecnn
from edgecnn import shelves
from edgecnn.environment import Environment, examine
from edgecnn.records import from_json
from edgecnn.reports import Report, read_body

Doctor = Callable[..., str]
_BASE = ("click", "rich", "pygments", "markdown_it", "mdurl", "msgspec", "filelock")


@pytest.fixture(scope="module")
def here() -> Environment:
    return examine()


def test_every_runtime_on_every_provider(here: Environment) -> None:
    places = [(place.runtime, place.provider) for place in here.places]
    assert ("ort", "cpu") in places
    assert ("ort", "cuda") in places
    assert ("reference", "cpu") in places
    assert {runtime for runtime, _ in places} == set(shelves.runtime_names())
    for place in here.places:
        found = place.availability
        assert found.ok or (found.reason and found.remedy)


def test_packages_and_what_brings_them(here: Environment) -> None:
    import numpy

    packages = {package.name: package for package in here.packages}
    assert packages["numpy"].version == numpy.__version__
    assert packages["numpy"].extra == ""
    assert packages["onnxruntime"].extra == "cpu"
    assert packages["onnxruntime-gpu"].extra == "cuda"
    assert packages["onnx"].extra == "onnx"
    assert packages["torch"].extra == "train"
    assert "edgecnn" not in packages


def test_json_is_the_record() -> None:
    said = _run("--json")
    assert said.stderr == ""
    report = from_json(Report, said.stdout.encode(), where="doctor")
    found = read_body(report, Environment)
    assert found.edgecnn == edgecnn.__version__
    assert found.machine == examine().machine


def test_tells_people(here: Environment) -> None:
    said = _run()
    assert said.stderr == ""
    told = " ".join(said.stdout.split())
    for text in (
        f"edgecnn {edgecnn.__version__} on Python {here.machine.python}",
        here.machine.cpu,
        f"{here.machine.allowed_cores} of {here.machine.cores} allowed",
        "onnxruntime-gpu no: `pip install 'edgecnn[cuda]'`" if _lacks("onnxruntime-gpu") else "",
        "ort cpu available onnxruntime",
        "reference cpu available onnx",
    ):
        assert text in told
    for need in (need for place in here.places for need in place.availability.requirements):
        assert need.name in told


def test_tables_fit_80_columns() -> None:
    lines = _run().stdout.splitlines()
    # What is missing, and what helps, are sentences.
    tables = [line for line in lines if not re.match(r"\w+ on \w+: |(Use|Repair|Install) ", line)]
    assert max(map(len, tables)) <= 80


@pytest.mark.parametrize("package", ["onnxruntime", "onnx", "torch"])
def test_works_without(package: str, tmp_path: Path) -> None:
    """It must say so, not fail, where a package is missing."""
    site = _site(tmp_path, without={package})
    found = json.loads(_run("--json", site=site).stdout)["body"]
    places = {(place["runtime"], place["provider"]): place for place in found["places"]}
    needs = {"onnxruntime": ("ort", "cpu"), "onnx": ("reference", "cpu")}
    extras = {"onnxruntime": "cpu", "onnx": "onnx"}
    for name, place in needs.items():
        availability: dict[str, Any] = places[place]["availability"]
        assert availability["ok"] is (name != package)
        if name == package:
            assert f"pip install 'edgecnn[{extras[name]}]'" in availability["remedy"]


def test_works_with_nothing_but_the_base(tmp_path: Path) -> None:
    said = _run(site=_site(tmp_path, without={"onnxruntime", "onnx", "torch", "numpy"}))
    told = " ".join(said.stdout.split())
    assert "ONNX Runtime is not installed. Install it with `pip install 'edgecnn[cpu]'`." in told
    assert "The package onnx is not installed." in told


def test_imports_no_torch() -> None:
    program = (
        "import sys; from edgecnn.environment import examine; examine();"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_sees_two_wheels(tmp_path: Path) -> None:
    for name, version in (("onnxruntime", "1.32.0"), ("onnxruntime_gpu", "1.31.1")):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        title = name.replace("_", "-")
        text = f"Metadata-Version: 2.1\nName: {title}\nVersion: {version}\n"
        (folder / "METADATA").write_text(text)
    told = " ".join(_run(PYTHONPATH=str(tmp_path)).stdout.split())
    assert "onnxruntime 1.32.0 and onnxruntime-gpu 1.31.1 are installed together" in told
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in told


def _site(tmp_path: Path, *, without: set[str]) -> Path:
    """Make a site-packages of links to the installed packages, less some."""
    site = tmp_path / "site"
    site.mkdir()
    for name in {*_BASE, "numpy", "onnx", "onnxruntime", "ml_dtypes", "google"} - without:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.submodule_search_locations
        package = Path(next(iter(spec.submodule_search_locations)))
        for path in (package, *package.parent.glob(f"{name}.libs")):
            (site / path.name).symlink_to(path)
        for metadata in package.parent.glob(f"{name}-*.dist-info"):
            (site / metadata.name).symlink_to(metadata)
    typing_extensions = importlib.util.find_spec("typing_extensions")
    if typing_extensions and typing_extensions.origin:
        (site / "typing_extensions.py").symlink_to(typing_extensions.origin)
    return site


def _run(*arguments: str, site: Path | None = None, **environment: str) -> Any:
    variables = os.environ | environment
    options = []
    if site:
        options = ["-S"]
        source = Path(edgecnn.__file__).parent.parent
        variables["PYTHONPATH"] = f"{site}:{source}"
    program = f"from edgecnn.cli import main; main(['doctor', *{list(arguments)}])"
    said = subprocess.run(
        [sys.executable, *options, "-c", program],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 0, said.stderr
    return said


def _lacks(package: str) -> bool:
    return all(found.version is None for found in examine().packages if found.name == package)
