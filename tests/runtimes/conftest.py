"""Every runtime on each of its providers; `--runtime NAME|PATH` holds one runtime to the suite."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgecnn import shelves
from edgecnn.errors import UnavailableError
from edgecnn.runtime import CheckedSession, Options, Variant, load_runtime, open_session

_FOLDER = tempfile.TemporaryDirectory(prefix="edgecnn-suite-")

MINE = str(Path(__file__).parent / "mine")


class Place(NamedTuple):
    """A runtime and a provider of it."""

    runtime: str
    provider: str

    @property
    def reads_onnx(self) -> bool:
        return "onnx" in load_runtime(self.runtime).FORMATS

    def takes(self, limit: str) -> bool:
        """Say whether the runtime names no such limit."""
        return limit not in self._limits

    def needs(self, limit: str) -> None:
        """Skip a test of what the runtime itself says that it cannot take."""
        if not self.takes(limit):
            pytest.skip(self._limits[limit])

    @property
    def _limits(self) -> Mapping[str, str]:
        limits: Mapping[str, str] = getattr(load_runtime(self.runtime), "LIMITS", {})
        return limits

    def own(self, variant: Variant) -> Variant:
        """Give a variant in a format that the runtime reads: by its own conversion, once."""
        if variant.format != "onnx" or self.reads_onnx:
            return variant
        return _converted(self.runtime, variant.name, variant.preprocessing, variant.path)

    def open(
        self, variant: Variant, threads: int = 1, options: Options | None = None
    ) -> CheckedSession:
        return open_session(
            self.own(variant),
            runtime=self.runtime,
            provider=self.provider,
            threads=threads,
            options=options,
        )


_ALWAYS_HERE = (Place("ort", "cpu"), Place("reference", "cpu"), Place(MINE, "cpu"))


@cache
def _converted(runtime: str, name: str, preprocessing: bool, path: Path) -> Variant:
    source = Variant(name, "fp32", "onnx", (str(path),), preprocessing)
    adapter: Any = load_runtime(runtime)
    folder = Path(tempfile.mkdtemp(dir=_FOLDER.name))
    more: dict[str, Any] = {}
    if getattr(adapter, "CONVERTS_NET", False):
        from tests.runtimes.nets import OnnxNet

        net = OnnxNet(path)
        source, more = replace(source, preprocessing=True, batch=net.batch), {"net": net}
    try:
        made = adapter.convert(source, folder, name="converted", options={}, **more)
    except UnavailableError as missing:  # a converter may be much larger than its engine
        pytest.skip(str(missing))
    (own_format,) = adapter.FORMATS
    return replace(
        source,
        format=own_format,
        files=tuple(str(folder / file) for file in made.files),
        batch=made.batch,
        preprocessing=made.preprocessing,
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip where an engine or a device is not here, but never what every checkout has."""
    place = getattr(item, "callspec", None) and item.callspec.params.get("place")  # type: ignore[attr-defined]
    if not isinstance(place, Place):
        return
    adapter = load_runtime(place.runtime)
    chosen = item.config.getoption("--runtime") and place.provider == adapter.PROVIDERS[0]
    if chosen or place in _ALWAYS_HERE:
        return
    there = adapter.availability(place.provider)
    if not there.ok:
        pytest.skip(f"{there.reason} {there.remedy}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--runtime")
        names = [chosen] if chosen else [*shelves.runtime_names(), MINE]
        places = [
            pytest.param(
                Place(name, provider),
                id=f"{Path(name).name}-{provider}",
                marks=[pytest.mark.gpu] if provider == "cuda" else [],
            )
            for name in names
            for provider in load_runtime(name).PROVIDERS
        ]
        metafunc.parametrize("place", places)
