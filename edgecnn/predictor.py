"""A session and an input contract together: pictures in, outputs or labels with probabilities out.

Everything that needs outputs for images gets them here, so that there is one way from pixels to
answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle import Bundle, open_bundle
from edgecnn.closing import Closing
from edgecnn.deployment import how_or_warn
from edgecnn.errors import InputError, ModelError
from edgecnn.feeding import Pixels, batches, feed, in_layout, normalise, pixels
from edgecnn.runtime import CheckedSession, Options
from edgecnn.spec import InputContract, Variant
from edgecnn.worker import WorkerLimits, open_guarded

if TYPE_CHECKING:
    from edgecnn.feeding import Pictures

__all__ = [
    "Answer",
    "Prediction",
    "Predictor",
    "default_variant",
    "feed",
    "holds_scores",
    "in_layout",
    "load",
    "normalise",
    "pixels",
    "scores_output",
    "softmax",
]

# As float32 the images of one run take about this many bytes, so that memory does not grow with
# the number of images: 85 at 32x32, one at 224x224. More at once gains no speed on a CPU.
_BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Answer:
    """One class and how likely it is.

    Attributes:
        label: The class's name; its index as text where the names are unknown.
        index: Its place among the outputs.
        probability: Between 0 and 1.
    """

    label: str
    index: int
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image.

    Attributes:
        ranked: The likeliest classes, the likeliest first; of equals, the one with the lower index.
    """

    ranked: tuple[Answer, ...]

    @property
    def label(self) -> str:
        """Name of the likeliest class."""
        return self.ranked[0].label

    @property
    def index(self) -> int:
        """Index of the likeliest class."""
        return self.ranked[0].index

    @property
    def probability(self) -> float:
        """Probability of the likeliest class."""
        return self.ranked[0].probability


class Predictor(Closing):
    """A variant, ready to answer pictures. Use it in a `with`, or `close()` it.

    Args:
        contract: How pictures become input.
        variant: What the session was opened on.
        session: The open session; the predictor closes it.
        batch_size: Images in one run; by default as many as 1 MiB of float32 input hold. A variant
            with a fixed batch is always run with that many: the last run is filled up with copies
            of its last image, and their outputs are cut off.

    Raises:
        InputError: `batch_size` is not what the variant takes.
    """

    def __init__(
        self,
        contract: InputContract,
        variant: Variant,
        session: CheckedSession,
        batch_size: int | None = None,
    ) -> None:
        self.contract = contract
        self.variant = variant
        self.session = session
        self.batch_size = _batch_size(contract, variant, batch_size)
        self.output = scores_output(contract, [spec.name for spec in session.outputs])

    def predict(self, images: Pictures, top: int = 5) -> list[Prediction]:
        """Say what is seen in each image.

        Args:
            images: As in `run`.
            top: How many of the likeliest classes to give; all of them if there are fewer.

        Returns:
            One prediction for each image, in their order.

        Raises:
            InputError: An image is not one, or the model's outputs are no classes.
        """
        self._refuse_no_classes(top)
        return self.rank(self.run(images), top)

    def rank(self, outputs: NDArray[Any], top: int = 5) -> list[Prediction]:
        """Turn outputs that `run` gave, [N, classes], into predictions, as `predict` does."""
        self._refuse_no_classes(top)
        return [self._ranked(row, top) for row in self._probabilities(outputs)]

    def run(self, images: Pictures) -> NDArray[Any]:
        """Give the model's output for each image.

        Args:
            images: One of these, or several in a list or any other iterable: an array
                uint8 [height, width, channels] at the input size, a PIL image, or a path. An array
                uint8 [N, height, width, channels] is N images. Arrays are taken as they are; PIL
                images and files are converted and resized as the contract says.

        Returns:
            Float [N, outputs] in the dtype that the model gives; other shapes from other models.
            Of several outputs it is the one that the contract names, or the first.

        Raises:
            InputError: An image is not what the contract asks for.
        """
        return self.run_all(images)[self.output]

    def run_all(self, images: Pictures) -> dict[str, NDArray[Any]]:
        """Give every output of the model by its name, for images as in `run`."""
        made = batches(images, self.contract, self.batch_size)
        parts = [self._run_batch(batch) for batch in made]
        if not parts:
            raise InputError("There are no images.", "Give at least one.")
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def close(self) -> None:
        """Free what the session holds."""
        self.session.close()

    def _refuse_no_classes(self, top: int) -> None:
        if self.contract.output_kind == "other":
            raise InputError(
                "This model's outputs are not classes, so there is nothing to predict.",
                "Use `.run(images)` for its outputs as they are.",
            )
        if top < 1:
            raise InputError(f"top={top} leaves no answer.", "Use 1 or more.")

    def _run_batch(self, batch: Pixels) -> dict[str, NDArray[Any]]:
        count, fixed = len(batch), self.variant.batch
        if fixed != "dynamic" and count < fixed:
            batch = np.concatenate([batch, np.repeat(batch[-1:], fixed - count, axis=0)])
        outputs = self.session.run(feed(self.contract, self.variant, self.session, batch))
        for name, output in outputs.items():
            if output.shape[:1] != (len(batch),):
                raise ModelError(
                    f"Output '{name}' has the shape {list(output.shape)} for {len(batch)} images.",
                    "Export the model so that the first axis of every output is the batch.",
                )
        return {name: output[:count] for name, output in outputs.items()}

    def _probabilities(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        labels = len(self.contract.labels)
        if outputs.ndim != 2 or labels not in (0, outputs.shape[1]):
            raise ModelError(
                f"The outputs have the shape {list(outputs.shape)}, which is no row of "
                f"{labels or 'class'} {'labels' if labels else 'scores'} for each image.",
                "Mend the labels or the kind of output in the input contract.",
            )
        if not np.isfinite(outputs).all():
            raise ModelError(
                f"{self.variant.path.name} answers NaN or infinity.",
                "Check its weights with `edgecnn parity`.",
            )
        scores = outputs.astype(np.float64)
        return softmax(scores) if self.contract.output_kind == "logits" else scores

    def _ranked(self, row: NDArray[np.float64], top: int) -> Prediction:
        best = np.argsort(-row, kind="stable")[:top].tolist()
        names = self.contract.labels
        return Prediction(
            tuple(Answer(names[i] if names else str(i), i, float(row[i])) for i in best)
        )


def load(
    bundle: Bundle | Path | str,
    *,
    variant: str | None = None,
    runtime: str | None = None,
    provider: str | None = None,
    threads: int | None = None,
    batch_size: int | None = None,
    options: Options | None = None,
    time_limit: float | None = None,
    memory_limit: int | None = None,
) -> Predictor:
    """Open a variant of a bundle, ready to answer pictures.

    Where none of variant, runtime, provider, threads, batch size and options is given, it is the
    bundle's deployment, if `edgecnn tune` made one; a warning says where that is stale or comes
    from another CPU.

    ONNX Runtime on the CPU, and the reference runtime, compute in this process. Every other engine
    is loaded into a process of its own, which takes some tenths of a second to start: if it
    crashes, that is an error here. With a limit, so is each.

    Args:
        bundle: A bundle or its folder.
        variant: Name of the variant; by default `fp32`, or the first of a bundle without one.
        runtime: Name or path of the runtime; `ort` by default.
        provider: Where to compute; the runtime's first provider by default.
        threads: Threads within an operator; by default the cores that this process may use.
        batch_size: Images in one run; by default what 1 MiB of float32 input hold.
        options: The runtime's own options.
        time_limit: Seconds that opening may take, and each run; 120 by default.
        memory_limit: Bytes that the session may take beyond Python and the engine.

    Raises:
        BundleError: The bundle or the variant is missing, stale or damaged.
        UnavailableError: The runtime, provider or precision is not to be had here.
        RuntimeCrashed: The engine crashed or hung. A run may raise it, too.
    """
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    how = how_or_warn(
        opened,
        variant=variant,
        runtime=runtime,
        provider=provider,
        threads=threads,
        options=options,
        batch_size=batch_size,
    )
    located = opened.locate(how.variant or default_variant(opened))
    contract = opened.manifest.contract
    _batch_size(contract, located, how.batch_size)
    session = open_guarded(
        located,
        runtime=how.runtime,
        provider=how.provider,
        threads=how.threads,
        options=how.options,
        limits=WorkerLimits.of(time_limit, memory_limit),
    )
    return Predictor(contract, located, session, how.batch_size)


def default_variant(bundle: Bundle) -> str:
    """Name the variant that answers where nobody names one: `fp32`, or the first."""
    names = [variant.name for variant in bundle.manifest.variants]
    return "fp32" if "fp32" in names or not names else names[0]


def scores_output(contract: InputContract, names: Sequence[str]) -> str:
    """Give the output that holds the scores of the classes: the contract's, or the first.

    Raises:
        ModelError: The model has no output of that name.
    """
    if contract.output and contract.output not in names:
        raise ModelError(
            f"The model has no output '{contract.output}'; it has {', '.join(names)}.",
            "Name the right one in the input contract with `edgecnn import --output-name`.",
        )
    return contract.output or names[0]


def holds_scores(contract: InputContract, output: str, names: Sequence[str]) -> bool:
    """Say whether an output holds the scores of the classes, of all that the model has."""
    return contract.output_kind != "other" and output == (contract.output or names[0])


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn logits [N, classes] into probabilities that sum to 1."""
    powers: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: NDArray[np.float64] = powers.sum(axis=1, keepdims=True)
    return powers / total


def _batch_size(contract: InputContract, variant: Variant, wanted: int | None) -> int:
    if wanted is not None and wanted < 1:
        raise InputError(f"A batch of {wanted} holds no image.", "Use --batch-size 1 or more.")
    if variant.batch != "dynamic":
        if wanted not in (None, variant.batch):
            again = f", or export with --batch-size {wanted}" if variant.format == "onnx" else ""
            raise InputError(
                f"The variant '{variant.name}' takes batches of {variant.batch}, not {wanted}.",
                f"Leave --batch-size out{again}.",
            )
        return variant.batch
    height, width, channels = contract.pixel_shape
    return wanted or max(1, _BYTES_AT_ONCE // (4 * height * width * channels))
