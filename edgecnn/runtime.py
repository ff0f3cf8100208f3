"""The contract of a runtime, and opening a session on one.

A runtime is a folder on the shelf `runtimes/` (or anybody's) with a `runtime.py` that has

    NAME: str                                   its name
    FORMATS: frozenset[str]                     the variant formats it reads
    PROVIDERS: tuple[str, ...]                  the providers it is made for, the default first
    availability(provider) -> Availability      ok, or why not and the command that installs it
    open_session(variant, *, provider, threads, options) -> Session

It may have more, each of which is found by its name:

    OPTIONS: Mapping[str, tuple[str, ...]]      its own options: what each may be, default first
    TUNED: tuple[str, ...]                      those of its options that `edgecnn tune` should try
    PROFILE_OPTIONS: Mapping[str, str]          opened with these, a session has `profile()`
    convert(source, folder, *, name, options) -> Converted
                                                writes a variant's files in its own format
    CONVERTS_NET: bool                          `convert` starts from the PyTorch net, and is given
                                                it as `net`: `edgecnn.nets.PixelNet`
    LIMITS: Mapping[str, str]                   what it cannot take of what ONNX can say, each as a
                                                sentence; the suite holds it to the rest
    MOST_THREADS: int                           the most threads that it computes on
    Session.precision: str                      what float32 operators compute in, if not fp32
    Session.profile() -> Iterable[OperatorRun]  all runs so far, operator by operator; once
    Session.placement(inputs) -> Placement      which provider computes each operator
    OTHER_PROVIDERS: tuple[str, ...]            more that it takes by name, where its engine has
                                                them; `edgecnn doctor` shows only those
    choices(provider) -> Mapping[str, tuple[str, ...]]
                                                of OPTIONS, what changes anything on a provider

Where `OPTIONS` has `precision`, its first choice is full float32: less is never computed unasked.

`convert` is given a located ONNX variant and an empty folder, writes there and nowhere else, and
needs no network. Every file that it names is called `NAME.something`, so that files may refer to
one another; what else it leaves there is not kept. It is called in a process of its own, and what
it made is proved before anybody relies on it (`edgecnn.converting`).

The keys of `LIMITS` are `batch` (one size alone), `inputs` (a single image), `types` (float32
alone, behind uint8 pixels) and `int8` (no quantized operators).

The module itself is loaded by commands that only look for its name, so it imports its engine inside
functions. But for ONNX Runtime on the CPU these are called in a process of their own
(`edgecnn.worker.guarded`): what they print is kept from what a command prints, and a crash or a
hang is an error there.

It never installs anything and never runs elsewhere than it was asked to. What all runtimes need in
the same way (checking inputs, naming providers, choosing threads) is done here, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from edgecnn import gpu, machine, shelves
from edgecnn.availability import Availability, package_availability
from edgecnn.errors import (
    InputError,
    Requirement,
    UnavailableError,
)
from edgecnn.formats import cannot_read
from edgecnn.options import PRECISION, Options, choose_options, precision_asked
from edgecnn.session import (
    NO_MEMORY,
    OTHER_ENGINE,
    SMALLER_BATCH,
    CheckedSession,
    Session,
    failures,
)
from edgecnn.spec import Converted, OperatorRun, TensorSpec, Variant

if TYPE_CHECKING:
    from edgecnn.session import Arrays as Arrays

__all__ = [
    "NO_MEMORY",
    "OTHER_ENGINE",
    "SMALLER_BATCH",
    "Availability",
    "CheckedSession",
    "Converted",
    "OperatorRun",
    "Options",
    "Requirement",
    "Runtime",
    "Session",
    "Target",
    "TensorSpec",
    "Variant",
    "check_available",
    "choose_options",
    "gpu",
    "load_runtime",
    "normalise_provider",
    "open_on",
    "open_session",
    "package_availability",
]


class Runtime(Protocol):
    """A runtime's adapter: a module, or anything that has these names."""

    NAME: str
    FORMATS: frozenset[str]
    PROVIDERS: tuple[str, ...]

    def availability(self, provider: str) -> Availability:
        """Say whether this runtime can run on a provider here."""
        ...

    def open_session(
        self, variant: Variant, *, provider: str, threads: int, options: Options
    ) -> Session:
        """Open a located variant.

        Raises:
            UnavailableError: What was asked for is not to be had.
            ModelError: The engine refuses the file.
        """
        ...


def load_runtime(name: str) -> Runtime:
    """Load a runtime by name or path.

    Raises:
        InputError: There is no such runtime, or it lacks a part of the contract.
    """
    module = shelves.load_runtime(name)
    needed = ("NAME", "FORMATS", "PROVIDERS", "availability", "open_session")
    missing = [part for part in needed if not hasattr(module, part)]
    if missing:
        raise InputError(
            f"The runtime '{name}' has no {', '.join(missing)}.",
            "See the contract at the head of edgecnn/runtime.py.",
        )
    return cast(Runtime, module)


@dataclass(frozen=True)
class Target:
    """A runtime and a provider that it can run on here.

    Attributes:
        runtime: The runtime's adapter.
        provider: Where to compute, by its short name.
        versions: Versions of the packages that the runtime uses.
    """

    runtime: Runtime
    provider: str
    versions: dict[str, str]


def check_available(runtime: str = "ort", provider: str | None = None) -> Target:
    """Find a runtime and make sure that it can run on a provider here; this imports its engine.

    Args:
        runtime: Name or path of the runtime.
        provider: Where to compute; the runtime's first provider by default.

    Raises:
        InputError: The runtime is unknown.
        UnavailableError: The runtime or provider is not to be had here.
    """
    adapter = load_runtime(runtime)
    wanted = normalise_provider(adapter.PROVIDERS[0] if provider is None else provider)
    with failures(adapter.NAME):
        available = adapter.availability(wanted)
        ok = available.ok
    if not ok:
        raise UnavailableError(available.reason, available.remedy, available.requirements)
    return Target(adapter, wanted, available.versions)


def profile_options(adapter: Runtime) -> Options:
    """Give the options with which a runtime's sessions time their operators.

    Raises:
        UnavailableError: It does not time them.
    """
    options: Options | None = getattr(adapter, "PROFILE_OPTIONS", None)
    if options is None:
        raise UnavailableError(
            f"The runtime '{adapter.NAME}' does not time its operators.", "Use `--runtime ort`."
        )
    return options


def open_session(
    variant: Variant,
    *,
    runtime: str = "ort",
    provider: str | None = None,
    threads: int | None = None,
    options: Options | None = None,
) -> CheckedSession:
    """Open a located variant on exactly what was asked, or refuse.

    Args:
        variant: A variant whose files are paths (`Bundle.locate` or `plain_file`).
        runtime: Name or path of the runtime.
        provider: Where to compute; the runtime's first provider by default.
        threads: Threads within an operator; by default the cores that this process may use.
        options: The runtime's own options.

    Raises:
        InputError: The runtime is unknown, or does not read this format or have this option.
        UnavailableError: The runtime, provider or precision is not to be had here.
        ModelError: The engine refuses the file.
    """
    return open_on(check_available(runtime, provider), variant, threads=threads, options=options)


def open_on(
    target: Target,
    variant: Variant,
    *,
    threads: int | None = None,
    options: Options | None = None,
) -> CheckedSession:
    """Open a located variant on a target; arguments and errors are those of `open_session`."""
    adapter, wanted = target.runtime, target.provider
    if variant.format not in adapter.FORMATS:
        raise cannot_read(variant, adapter.NAME)
    count = _threads(adapter, threads)
    asked, own = _asked(adapter, options or {})
    with failures(adapter.NAME):
        session = adapter.open_session(variant, provider=wanted, threads=count, options=own)
        checked = CheckedSession(session, adapter.NAME, count, options)
    if checked.provider != wanted:
        checked.close()
        raise UnavailableError(
            f"'{wanted}' was asked for, but {adapter.NAME} runs on '{checked.provider}'.",
            "Run `edgecnn doctor` to see what is missing.",
        )
    if checked.precision != asked:
        checked.close()
        raise UnavailableError(
            f"Float32 operators were to be computed in '{asked}', but {adapter.NAME} computes them "
            f"in '{checked.precision}' on '{wanted}' here.",
            f"Use --precision {checked.precision}, or another --runtime or --provider.",
        )
    return checked


def most_threads(adapter: Runtime) -> int | None:
    """Give the most threads that a runtime computes on; None for any number."""
    most: int | None = getattr(adapter, "MOST_THREADS", None)
    return most


def _threads(adapter: Runtime, asked: int | None) -> int:
    most = most_threads(adapter)
    if asked is None:
        cores = machine.allowed_cores()
        return cores if most is None else min(cores, most)
    if asked < 1:
        raise InputError(f"{asked} threads cannot run anything.", "Use --threads 1 or more.")
    if most is not None and asked > most:
        threads = "1 thread" if most == 1 else f"{most} threads"
        raise InputError(
            f"The runtime '{adapter.NAME}' computes on {threads} at most, not on {asked}.",
            f"Use --threads {most}, or another --runtime.",
        )
    return asked


def _asked(adapter: Runtime, options: Options) -> tuple[str, dict[str, str]]:
    """Give the precision that is asked for, and the options that the adapter knows of."""
    choices = getattr(adapter, "OPTIONS", {})
    asked = precision_asked(adapter.NAME, choices, options)
    own = {key: value for key, value in options.items() if key in choices or key != PRECISION}
    return asked, own


def normalise_provider(name: str) -> str:
    """Give a provider's short name: `CUDAExecutionProvider` and `CUDA` are `cuda`."""
    short = name.lower().removesuffix("executionprovider")
    return {"trt": "tensorrt", "dml": "directml"}.get(short, short)


def plain_file(path: str) -> Variant:
    """Describe an ONNX file that belongs to no bundle.

    Raises:
        InputError: There is no such file.
    """
    from pathlib import Path

    file = Path(path)
    if not file.is_file():
        raise InputError(f"There is no file {path}.", "Check the path.")
    return Variant(
        name=file.name, precision="fp32", format="onnx", files=(str(file),), preprocessing=False
    )
