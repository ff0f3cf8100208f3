"""A fine-tuned int8 net becomes a variant of its bundle, measured as every int8 is."""

from __future__ import annotations

from edgecnn.bundle import Bundle
from edgecnn.golden import golden
from edgecnn.progress import Progress
from edgecnn.quantization.measuring import Found, Job
from edgecnn.quantization.options import check_wishes
from edgecnn.quantization.report import QuantizeReport
from edgecnn.quantization.run import LATENCY_SECONDS
from edgecnn.quantization.writing import draft_variant, measure_and_write
from edgecnn.training.qat.run import Qat


def add_variant(
    bundle: Bundle, tuned: Qat, *, seconds: float | None = None, progress: Progress
) -> QuantizeReport:
    """Measure a fine-tuned net beside the variant that it was made from, and add it to its bundle.

    Here, and only here, the test images are answered: once.

    Args:
        bundle: The bundle that it was made from.
        tuned: What `qat` gave.
        seconds: How long latency is measured; 3 by default.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        ModelError: It answers with NaN or infinity.
        BundleError: The bundle was changed meanwhile.
        InputError: The disk is full or not writable.
    """
    job = Job(
        bundle=bundle,
        source=tuned.source,
        dataset=tuned.dataset,
        vectors=golden(bundle),
        wishes=check_wishes(),
        threads=None,
        seconds=LATENCY_SECONDS if seconds is None else seconds,
        tell=progress,
    )
    found = Found(
        plan=tuned.plan,
        contract=bundle.manifest.contract,
        calibration_images=len(tuned.calibration),
        selection=tuned.calibration,
    )
    name = f"{tuned.source.name.replace('fp32', 'int8')}-qat"
    # The bundle's folder is put behind the command where it is shown.
    draft = draft_variant(job, name, "edgecnn train --qat", _settings(tuned))
    return measure_and_write(job, tuned.core, draft, found)


def _settings(tuned: Qat) -> dict[str, str]:
    done = tuned.report
    return {
        "scheme": str(tuned.plan.scheme),
        "calibration": (
            f"{tuned.plan.calibration} of {len(tuned.calibration)} training images of "
            f"{tuned.dataset.name}"
        ),
        "training": (
            f"epoch {done.chosen} of {done.plan.epochs} on {done.training_images:,} images, "
            f"learning rate {done.plan.learning_rate:g}, seed {done.plan.seed}"
        ),
    }
