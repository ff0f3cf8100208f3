"""Every runtime on each of its providers; `--runtime NAME|PATH` holds one runtime to the suite."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from edgecnn import shelves
from edgecnn.runtime import CheckedSession, Options, Variant, load_runtime, open_session

MINE = str(Path(__file__).parent / "mine")


class Place(NamedTuple):
    """A runtime and a provider of it."""

    runtime: str
    provider: str

    def open(
        self, variant: Variant, threads: int = 1, options: Options | None = None
    ) -> CheckedSession:
        return open_session(
            variant,
            runtime=self.runtime,
            provider=self.provider,
            threads=threads,
            options=options,
        )


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
