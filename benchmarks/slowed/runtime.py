"""ONNX Runtime, slowed down by a known share of each call's own time.

Options:
    slower: The share, such as `0.05`; nothing is added by default.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecnn.runtime import Availability, Options, Session, TensorSpec, Variant, load_runtime

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

NAME = "slowed"
FORMATS = frozenset({"onnx"})
PROVIDERS = ("cpu",)


@dataclass
class Slowed:
    """A session whose calls take longer."""

    session: Session
    slower: float

    @property
    def provider(self) -> str:
        return self.session.provider

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self.session.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self.session.outputs

    def run(self, inputs: Arrays) -> dict[str, Any]:
        return self.session.run(inputs)

    def prepare(self, inputs: Arrays) -> Callable[[], object]:
        call, slower, clock = self.session.prepare(inputs), self.slower, time.perf_counter_ns

        def slowed() -> None:
            began = clock()
            call()
            now = clock()
            end = now + slower * (now - began)
            while now < end:
                now = clock()

        return slowed

    def close(self) -> None:
        self.session.close()


def availability(provider: str) -> Availability:
    return load_runtime("ort").availability(provider)


def open_session(variant: Variant, *, provider: str, threads: int, options: Options) -> Slowed:
    engine = load_runtime("ort")
    session = engine.open_session(variant, provider=provider, threads=threads, options={})
    return Slowed(session, float(options.get("slower", "0")))
