"""One side of a comparison: a variant or a plain file on one engine, and what it answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.agreement.metrics import derived_atol
from edgecnn.bundle import Bundle
from edgecnn.errors import InputError
from edgecnn.predictor import Predictor
from edgecnn.records import file_sha256
from edgecnn.runtime import CheckedSession, load_runtime, open_session, plain_file
from edgecnn.spec import InputContract, TensorSpec, Tolerance, Variant
from edgecnn.worker import open_in_worker

Arrays = Mapping[str, NDArray[Any]]

# Random inputs for plain files: enough to meet most of a small net, few enough for slow runtimes.
RANDOM_IMAGES = 8


@dataclass(frozen=True)
class Engine:
    """Where to compute.

    Attributes:
        runtime: Name or path of the runtime.
        provider: None for the runtime's first.
        threads: None for the cores that this process may use.
        batch_size: Images in one run; None for what fits.
        apart: In a process of its own, so that a crash there is an error here.
    """

    runtime: str = "ort"
    provider: str | None = None
    threads: int | None = None
    batch_size: int | None = None
    apart: bool = False

    def open(self, variant: Variant, options: Mapping[str, str] | None = None) -> CheckedSession:
        """Open a located variant here."""
        opener = open_in_worker if self.apart else open_session
        return opener(
            variant,
            runtime=self.runtime,
            provider=self.provider,
            threads=self.threads,
            options=options,
        )


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
    """

    name: str
    runtime: str
    provider: str
    outputs: dict[str, NDArray[Any]]
    variant: Variant
    measured: dict[str, str]

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
        return _side(name, session, outputs, variant, measured)


def file_side(
    path: str, contract: InputContract, engine: Engine, images: NDArray[np.uint8]
) -> Side:
    """Run a plain file on raw images; they are normalised first where it takes floats."""
    session = _open(path, engine)
    plain = plain_file(path)
    first = session.inputs[0]
    size = first.shape[0] if first.shape else 1
    variant = replace(
        plain,
        preprocessing=first.dtype == "uint8",
        batch=size if isinstance(size, int) else "dynamic",
    )
    with Predictor(contract, variant, session, engine.batch_size) as predictor:
        outputs = predictor.run_all(images)
        return _side(plain.name, session, outputs, variant, {plain.name: file_sha256(plain.path)})


def input_side(path: str, engine: Engine, inputs: Arrays) -> Side:
    """Run a plain file on inputs as they are."""
    variant = plain_file(path)
    with _open(path, engine) as session:
        _check_names(variant, session, inputs)
        outputs = _run(session, inputs)
        measured = {variant.name: file_sha256(variant.path)}
        return _side(variant.name, session, outputs, variant, measured)


def random_inputs(path: str, engine: Engine, seed: int) -> dict[str, NDArray[Any]]:
    """Draw inputs for a plain file: bytes evenly, floats from the normal distribution.

    Raises:
        InputError: A size other than the batch is open, or an input is of a type that is not drawn.
    """
    random = np.random.default_rng(seed)
    with _open(path, engine) as session:
        return {spec.name: _draw(spec, random) for spec in session.inputs}


def rounding_atol(path: str, inputs: Arrays) -> dict[str, float]:
    """Give the absolute tolerance of each output of a plain file, derived from float64.

    It is 16 times what the reference runtime's float32 lies from its float64, so that it does not
    depend on the runtime under test. Empty where the reference runtime is not installed.
    """
    if not load_runtime("reference").availability("cpu").ok:
        return {}
    with _open(path, Engine("reference")) as session:
        rounded = _run(session, inputs)
    with _open(path, Engine("reference"), {"precision": "float64"}) as session:
        exact = _run(session, inputs)
    return {name: derived_atol(rounded[name], exact[name].astype("f8")) for name in exact}


def _open(path: str, engine: Engine, options: Mapping[str, str] | None = None) -> CheckedSession:
    return engine.open(plain_file(path), options)


def _side(
    name: str,
    session: CheckedSession,
    outputs: dict[str, NDArray[Any]],
    variant: Variant,
    measured: dict[str, str],
) -> Side:
    return Side(name, session.runtime, session.provider, outputs, variant, measured)


def _check_names(variant: Variant, session: CheckedSession, inputs: Arrays) -> None:
    for spec in session.inputs:
        if spec.name not in inputs or not _takes(spec, inputs[spec.name]):
            raise InputError(
                f"{variant.name} takes {', '.join(map(str, session.inputs))}, "
                "which is not what the other file takes.",
                "Compare files with the same inputs, or compare them through a bundle: "
                "`edgecnn parity FILE BUNDLE`.",
            )


def _takes(spec: TensorSpec, value: NDArray[Any]) -> bool:
    sizes = zip(spec.shape[1:], value.shape[1:], strict=False)
    same = all(isinstance(want, str) or want == have for want, have in sizes)
    return same and value.dtype == spec.dtype and value.ndim == len(spec.shape)


def _run(session: CheckedSession, inputs: Arrays) -> dict[str, NDArray[Any]]:
    count = max((len(value) for value in inputs.values() if value.ndim), default=1)
    sizes = {spec.shape[0] for spec in session.inputs if spec.shape}
    fixed = {size for size in sizes if isinstance(size, int)}
    if fixed in (set(), {count}):
        return dict(session.run(inputs))
    step = max(fixed)
    if count % step:
        raise InputError(
            f"{count} inputs do not fill batches of {step}.", "Compare files of the same batch."
        )
    parts = [
        session.run({name: value[start : start + step] for name, value in inputs.items()})
        for start in range(0, count, step)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _draw(spec: TensorSpec, random: np.random.Generator) -> NDArray[Any]:
    open_sizes = [str(size) for size in spec.shape[1:] if isinstance(size, str)]
    if open_sizes:
        raise InputError(
            f"Input {spec} leaves {', '.join(open_sizes)} open, so no input can be drawn for it.",
            "Fix its size, or compare it through a bundle: `edgecnn parity FILE BUNDLE`.",
        )
    batch = spec.shape[:1]
    if batch and (batch[0] == 1 or isinstance(batch[0], str)):
        batch = (RANDOM_IMAGES,)
    shape = tuple(int(size) for size in (*batch, *spec.shape[1:]))
    draws: dict[str, Callable[[], NDArray[Any]]] = {
        "f": lambda: random.standard_normal(shape),
        "u": lambda: random.integers(0, 256, shape),
        "i": lambda: random.integers(0, 2, shape),
        "b": lambda: random.integers(0, 2, shape),
    }
    return draws[np.dtype(spec.dtype).kind]().astype(spec.dtype)
