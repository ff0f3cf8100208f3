"""ONNX Runtime, on exactly the provider that was asked for. Its options stand in `options.py`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError, UnavailableError
from edgecnn.placement import Placement
from edgecnn.runtime import OperatorRun, Options, Variant, normalise_provider

from .binding import OnCuda, on_cpu
from .dtypes import spec
from .opening import Opening
from .options import NAME, OPTIONS, TUNED, choices, choose
from .placing import read_placement
from .profiling import Recording
from .providers import OTHER_PROVIDERS
from .refusing import failed
from .wheels import availability, engine

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

__all__ = [
    "FORMATS",
    "NAME",
    "OPTIONS",
    "OTHER_PROVIDERS",
    "PROFILE_OPTIONS",
    "PROVIDERS",
    "TUNED",
    "availability",
    "choices",
    "open_session",
]

FORMATS = frozenset({"onnx"})
PROVIDERS = ("cpu", "cuda")
PROFILE_OPTIONS = {"profiling": "on"}
_PLAIN = ("off", "off")


class OrtSession:
    """A session of ONNX Runtime.

    Args:
        opening: How it is opened, and could be again.
        recording: The folder into which it writes its profile; None if it writes none.
    """

    def __init__(self, opening: Opening, recording: Recording | None = None) -> None:
        self._opening = opening
        self._recording = recording
        self._session: Any = opening.open(recording)
        self._feed: dict[str, NDArray[np.generic]] = {}
        self._bound: dict[tuple[tuple[str, tuple[int, ...]], ...], OnCuda] = {}
        self._graphs = count()
        self._lock = threading.Lock()
        self.provider = normalise_provider(self._session.get_providers()[0])
        self.precision = opening.precision
        self.inputs = tuple(map(spec, self._session.get_inputs()))
        self.outputs = tuple(map(spec, self._session.get_outputs()))
        self._names = [output.name for output in self.outputs]

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs, by name."""
        if self._recording:
            self._feed = dict(inputs)
        try:
            if self._opening.chosen["cuda_graph"] == "on":
                values = self._replay(inputs)
            else:
                values = self._session.run(self._names, dict(inputs))
        except Exception as error:
            raise failed(error) from error
        return dict(zip(self._names, values, strict=True))

    def prepare(self, inputs: Arrays) -> Callable[[], object]:
        """Give `InferenceSession.run` on these inputs, or the call on bound buffers."""
        import numpy as np

        # Otherwise the engine would copy what is not laid out in rows, in each call.
        feed = {name: np.require(value, requirements="C") for name, value in inputs.items()}
        self._feed = feed
        chosen = self._opening.chosen
        if self.provider == "cuda" and (chosen["io_binding"], chosen["cuda_graph"]) != _PLAIN:
            return self._bind(feed)
        if chosen["io_binding"] == "on":
            return on_cpu(self._opening.module, self._session, feed)
        return partial(self._session.run, self._names, feed)

    def profile(self) -> tuple[OperatorRun, ...]:
        """Give the operators and their times, in whole microseconds, of all runs so far; once."""
        if self._recording is None:
            raise InputError(
                "This session keeps no profile.", "Open it with the option `profiling` set to `on`."
            )
        return self._recording.read(self._session, self._feed, self._opening.open_as_it_is)

    def placement(self, inputs: Arrays) -> Placement:
        """Say where the operators are computed: five runs of another session of this kind tell."""
        opening = self._opening
        return read_placement(opening.module, self.provider, opening.open_again, inputs)

    def close(self) -> None:
        """Free the engine's session."""
        self._bound.clear()
        self._session = None
        if self._recording:
            self._recording.close()

    def _bind(self, feed: Arrays) -> OnCuda:
        # The buffers and the recorded graph of each call are its own: calls may take turns.
        chosen = self._opening.chosen
        replays = chosen["cuda_graph"] == "on"
        return OnCuda(
            self._opening.module,
            self._session,
            feed,
            graph=next(self._graphs) if replays else None,
            lock=self._lock if replays else nullcontext(),
            pinned=chosen["io_binding"] == "pinned",
        )

    def _replay(self, inputs: Arrays) -> list[NDArray[np.generic]]:
        key = tuple((name, value.shape) for name, value in sorted(inputs.items()))
        if key not in self._bound:
            self._bound[key] = self._bind(inputs)
        self._bound[key].put(inputs)
        return self._bound[key]()


def open_session(variant: Variant, *, provider: str, threads: int, options: Options) -> OrtSession:
    """Open an ONNX file on one provider; what that provider cannot do is an error.

    Raises:
        InputError: An option is unknown, or changes nothing on this provider.
        UnavailableError: The provider did not start, or cannot run a part of the model.
        ModelError: ONNX Runtime refuses the file.
    """
    module = engine()
    assert module is not None, "open_session() is called where availability() is ok"
    opening = Opening(module, variant, provider, threads, choose(provider, options))
    profiling = opening.chosen["profiling"] == "on"
    return OrtSession(opening, _recording(variant, provider) if profiling else None)


def _recording(variant: Variant, provider: str) -> Recording:
    if provider != "cpu":
        raise UnavailableError(
            f"On '{provider}' ONNX Runtime's profile times how long operators take to be started, "
            "not to compute.",
            "Profile with `--provider cpu`.",
        )
    return Recording(variant.files[0])
