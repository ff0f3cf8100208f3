"""One side of a comparison: a variant or a plain file on one engine, and what it answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle import Bundle
from edgecnn.formats import formats_of, refuse_unreadable
from edgecnn.options import FP32, Options, computing, engine_name, own_options, refuse_strangers
from edgecnn.plain import PlainFile
from edgecnn.predictor import Predictor
from edgecnn.runtime import CheckedSession, load_runtime
from edgecnn.spec import InputContract, Tolerance, Variant
from edgecnn.worker import WorkerLimits, open_guarded

# A foreign file's session may take memory for so many; the predictor runs fewer large ones.
_IMAGES_AT_ONCE = 8

Tell = Callable[[str], None]


def _ignore(text: str) -> None:
    pass


@dataclass(frozen=True)
class Engine:
    """Where to compute.

    Attributes:
        runtime: Name or path of the runtime.
        provider: None for the runtime's first.
        threads: None for the cores that this process may use.
        batch_size: Images in one run; None for what fits.
        apart: In a process of its own, whatever the engine.
        memory_limit: Bytes that a session may take there; None for what is free.
        options: The runtime's own options.
        limits: What somebody lets a session take; None where nobody said.
        tell: Called with what is opened.
    """

    runtime: str = "ort"
    provider: str | None = None
    threads: int | None = None
    batch_size: int | None = None
    apart: bool = False
    memory_limit: int | None = None
    options: Options = field(default_factory=dict)
    limits: WorkerLimits | None = None
    tell: Tell = field(default=_ignore, compare=False)

    def open(self, variant: Variant) -> CheckedSession:
        """Open a located variant here."""
        self.tell(f"Running {variant.name} on {self.runtime}")
        limits = self.limits
        if self.apart:
            limits = (limits or WorkerLimits()).with_memory(self.memory_limit)
        return open_guarded(
            variant,
            runtime=self.runtime,
            provider=self.provider,
            threads=self.threads,
            options=self.options,
            limits=limits,
        )


def engines(
    runtime: str | Sequence[str],
    provider: str | Sequence[str] | None,
    threads: int | None,
    batch_size: int | None = None,
    *,
    apart: bool = False,
    options: Options | None = None,
    limits: WorkerLimits | None = None,
) -> tuple[Engine, ...]:
    """Give each of one or several runtimes on each of one or several providers.

    Raises:
        InputError: An option is for a runtime that is none of these.
    """
    runtimes = (runtime,) if isinstance(runtime, str) else tuple(runtime)
    known = {name: load_runtime(name).NAME for name in runtimes} if options else {}
    refuse_strangers(list(known.values()), options)
    own = {name: own_options(known[name], options) if options else {} for name in runtimes}
    providers: Sequence[str | None]
    providers = (provider,) if provider is None or isinstance(provider, str) else tuple(provider)
    pairs = product(runtimes, providers)
    return tuple(
        Engine(*pair, threads, batch_size, apart, options=own[pair[0]], limits=limits)
        for pair in pairs
    )


def readers_of(variant: Variant, places: Sequence[Engine]) -> tuple[Engine, ...]:
    """Give those of some engines that read a variant's format.

    Raises:
        InputError: None of them does.
    """
    refuse_unreadable([variant], *dict.fromkeys(engine.runtime for engine in places))
    return tuple(engine for engine in places if variant.format in formats_of(engine.runtime))


def told(
    places: Sequence[Engine], sessions: int, progress: Callable[[str, float], None]
) -> tuple[Engine, ...]:
    """Let engines tell what they open, and which share of so many sessions is behind."""
    before = count()

    def tell(text: str) -> None:
        progress(text, min(1.0, next(before) / max(1, sessions)))

    return tuple(replace(engine, tell=tell) for engine in places)


@dataclass(frozen=True, eq=False)
class Side:
    """What answered, and the answers.

    Attributes:
        name: The variant's or the file's name.
        runtime: The runtime's name.
        provider: As the runtime itself reports it.
        outputs: Every output by its name, [N, ...].
        variant: What was opened.
        measured: SHA-256 of each file, by name.
        precision: What float32 operators computed in, as the runtime itself reports it.
        options: The runtime's own options that were given.
    """

    name: str
    runtime: str
    provider: str
    outputs: dict[str, NDArray[Any]]
    variant: Variant
    measured: dict[str, str]
    precision: str = FP32
    options: Options = field(default_factory=dict)

    @property
    def how(self) -> str:
        """How it computed, for people; empty if as the runtime does by itself."""
        return computing(self.precision, self.options)

    @property
    def engine(self) -> str:
        """Runtime, provider and how it computed, for people."""
        return engine_name(self.runtime, self.provider, self.precision, self.options)

    def tolerance(self, output: str) -> Tolerance:
        """Give the variant's tolerance for an output; without limits for a plain file."""
        return self.variant.tolerances.get(output, Tolerance())


def variant_side(bundle: Bundle, name: str, engine: Engine, images: NDArray[np.uint8]) -> Side:
    """Run a variant of a bundle on raw images."""
    variant = bundle.variant(name)
    measured = {file: bundle.files[file].sha256 for file in variant.files}
    located, contract = bundle.locate(name), bundle.manifest.contract
    with (
        engine.open(located) as session,
        Predictor(contract, located, session, engine.batch_size) as predictor,
    ):
        outputs = predictor.run_all(images)
        return make_side(name, session, outputs, variant, measured)


def file_side(
    file: PlainFile, contract: InputContract, engine: Engine, images: NDArray[np.uint8]
) -> Side:
    """Run a plain file on raw images; they are normalised first where it takes floats."""
    first = file.inputs[0] if file.inputs else None
    size = first.shape[0] if first and first.shape else 1
    variant = replace(
        file.variant,
        preprocessing=first is not None and first.dtype == "uint8",
        batch=size if isinstance(size, int) else "dynamic",
    )
    guarded = replace(
        engine, apart=True, memory_limit=file.memory_for(_IMAGES_AT_ONCE, engine.provider)
    )
    with (
        guarded.open(variant) as session,
        Predictor(contract, variant, session, engine.batch_size) as predictor,
    ):
        outputs = predictor.run_all(images)
        # By path: a file of the bundle may have the same name.
        measured = {str(variant.path): file.measured[file.name]}
        return make_side(file.name, session, outputs, variant, measured)


def make_side(
    name: str,
    session: CheckedSession,
    outputs: dict[str, NDArray[Any]],
    variant: Variant,
    measured: dict[str, str],
) -> Side:
    """Put together what a session answered, and where and how it computed."""
    return Side(
        name,
        session.runtime,
        session.provider,
        outputs,
        variant,
        measured,
        session.precision,
        session.options,
    )
