"""A session: what a runtime gives, and what edgecnn puts around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from edgecnn.closing import Closing
from edgecnn.errors import EdgeCNNError, InputError, RuntimeCrashed
from edgecnn.options import FP32, Options
from edgecnn.placement import Placement
from edgecnn.spec import OperatorRun, TensorSpec, check_inputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

NO_MEMORY, SMALLER_BATCH = "The memory ran out.", "Use a smaller --batch-size."
OTHER_ENGINE = "Try another --runtime or --provider; `edgecnn doctor` lists those that are here."


class Session(Protocol):
    """A variant opened on a runtime and provider, ready to run.

    `inputs` and `outputs` have dtypes and shapes as the graph declares them. `provider` is what
    the runtime itself reports. An engine that computes float32 operators in another number format
    has a `precision`, too.
    """

    provider: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs, by name."""
        ...

    def prepare(self, inputs: Arrays) -> Callable[[], object]:
        """Give the runtime's own inner call on these inputs, with nothing of edgecnn around it.

        It is what a benchmark times.
        """
        ...

    def close(self) -> None:
        """Free what the session holds."""
        ...


class CheckedSession(Closing):
    """A session whose inputs are checked before the engine sees them.

    Engines take NaN, big-endian arrays and empty batches without a word and answer nonsense.

    Attributes:
        runtime: The runtime's name.
        provider: Where it computes, as the runtime reports it.
        precision: What its float32 operators compute in, such as `fp32`, `bf16` or `tf32`.
        threads: Threads within an operator.
        options: The runtime's own options that were given.
        inputs: What goes in.
        outputs: What comes out.
    """

    def __init__(
        self, session: Session, runtime: str, threads: int, options: Options | None = None
    ) -> None:
        self._session = session
        self.runtime = runtime
        self.threads = threads
        self.options = dict(options or {})
        self.provider = session.provider
        self.precision: str = getattr(session, "precision", FP32)
        self.inputs = session.inputs
        self.outputs = session.outputs
        self._closed = False

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Check the inputs, then compute the outputs, by name.

        Raises:
            InputError: An input is missing, unknown, or of the wrong dtype, shape or content.
        """
        self._check(inputs)
        with failures(self.runtime):
            return self._session.run(inputs)

    def prepare(self, inputs: Arrays) -> Callable[[], object]:
        """Check the inputs once, then give the engine's own inner call on them."""
        self._check(inputs)
        with failures(self.runtime):
            return self._session.prepare(inputs)

    def profile(self) -> tuple[OperatorRun, ...]:
        """Give the operators that the engine ran, in their order; once.

        Raises:
            InputError: The session was opened without `profile_options`.
        """
        with failures(self.runtime):
            asked = getattr(self._session, "profile", None)
            return tuple(asked()) if asked else ()

    def placement(self, inputs: Arrays) -> Placement | None:
        """Check the inputs, then say which provider computes each operator on them.

        Returns:
            None if the engine does not tell.
        """
        self._check(inputs)
        with failures(self.runtime):
            asked = getattr(self._session, "placement", None)
            found: Placement | None = asked(inputs) if asked else None
            return found

    def close(self) -> None:
        """Free what the session holds; closing twice is harmless."""
        if not self._closed:
            self._closed = True
            self._session.close()

    def _check(self, inputs: Arrays) -> None:
        if self._closed:
            raise InputError("This session is closed.", "Open it again.")
        check_inputs(self.inputs, inputs)


@contextmanager
def failures(name: str) -> Iterator[None]:
    """Turn whatever a runtime raises inside into an error of edgecnn's."""
    try:
        yield
    except EdgeCNNError:
        raise
    except MemoryError as error:
        raise RuntimeCrashed(NO_MEMORY, SMALLER_BATCH) from error
    except (Exception, SystemExit) as error:
        raise RuntimeCrashed(
            f"The runtime '{name}' failed: {type(error).__name__}: {error}.", OTHER_ENGINE
        ) from error
