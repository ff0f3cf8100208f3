"""`edgecnn quantize`, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import extras
from edgecnn.bundle import Bundle, extend, open_bundle
from edgecnn.bundle_data import bundle_data
from edgecnn.data import Dataset, by_content
from edgecnn.disk import temporary_file
from edgecnn.errors import InputError
from edgecnn.golden import golden, make_expected
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.measuring import Job, answer, measure_latency, report_on
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.report import QuantizeReport
from edgecnn.quantization.verdict import points
from edgecnn.runtime import check_available
from edgecnn.spec import Variant
from edgecnn.stats import smallest_provable_drop

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

Progress = Callable[[str, float], None]

CALIBRATION_SAMPLES = 512
LATENCY_SECONDS = 3.0


def quantize(
    bundle: Bundle | Path | str,
    *,
    variant: str = "fp32",
    calibration_samples: int | None = None,
    max_drop: float | None = None,
    data: Dataset | str | Path | None = None,
    data_dir: Path | None = None,
    threads: int | None = None,
    duration: float | None = None,
    note: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> QuantizeReport:
    """Make an int8 variant of a bundle, and measure it against the one it was made from.

    Static quantization, per channel, unsigned activations and 7-bit signed weights, so that every
    CPU gives the same answers. The variant is called `int8`, or `int8-nchw` and so on after the
    form that it was made from.

    Args:
        bundle: A bundle or its folder.
        variant: The fp32 variant to quantize.
        calibration_samples: Images of the training split that set the ranges; 512 by default, or
            all if there are fewer.
        max_drop: Largest loss of accuracy allowed; 0.005 is half a point.
        data: Other data to calibrate and test on, or its source; the bundle's own by default.
        data_dir: Folder for downloaded data.
        threads: Threads of the measured sessions; by default the cores allowed.
        duration: Seconds of measuring latency, 3 by default; openings and warm-ups come on top.
        note: Called with sentences that people should read.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Returns:
        What was measured. Where the loss is not within `max_drop`, `gate` says so; the variant is
        written all the same, with its verdict.

    Raises:
        DataError: There is no data to calibrate on.
        InputError: A number cannot be.
        ModelError: The model cannot be quantized.
        BundleError: The variant is missing, stale, damaged, or changed meanwhile.
        UnavailableError: A package is missing.
    """
    _check(calibration_samples, max_drop)
    extras.require("`edgecnn quantize`", "onnx", "onnx_ir")
    check_available("ort", "cpu")
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    source = _source(opened, variant)
    _refuse_quantized(source)
    classes = opened.manifest.contract.output_kind != "other"
    if max_drop is not None and not classes:
        raise InputError(
            f"The outputs of {opened.folder} are not classes, so there is no accuracy to lose.",
            "Leave --max-drop out.",
        )
    tell = progress or _ignore
    tell("Loading data", 0.0)
    dataset = data if isinstance(data, Dataset) else _data(opened, data, data_dir, tell)
    vectors = golden(opened)
    if vectors.stand_in and note:
        note(_measured_on_stand_ins(opened))
    if max_drop is not None and note:
        note(_what_can_be_proved(len(dataset.test), max_drop))
    images = _calibration_images(dataset, calibration_samples)
    seconds = LATENCY_SECONDS if duration is None else duration
    plan = Plan()
    job = Job(opened, source, dataset, vectors, plan, len(images), max_drop, threads, seconds, tell)
    tell(f"Calibrating on {len(images)} images", 0.1)
    return _measure_and_write(job, _quantized(source, opened, images, plan))


def _data(
    bundle: Bundle, source: str | Path | None, data_dir: Path | None, tell: Progress
) -> Dataset:
    return bundle_data(
        bundle, source, data_dir=data_dir, progress=lambda what, share: tell(what, share / 10)
    )


def _check(calibration_samples: int | None, max_drop: float | None) -> None:
    if calibration_samples is not None and calibration_samples < 1:
        raise InputError(
            f"{calibration_samples} images calibrate nothing.",
            "Use --calibration-samples 1 or more.",
        )
    if max_drop is not None and not 0 <= max_drop <= 1:
        raise InputError(
            f"A loss of {points(max_drop)} points cannot be.", "Use --max-drop 0.5pp, for example."
        )


def _source(bundle: Bundle, name: str) -> Variant:
    variants = bundle.manifest.variants
    floats = [variant.name for variant in variants if variant.precision == "fp32"]
    if variants and not floats and bundle.manifest.model is None:
        raise InputError(
            f"{bundle.folder} was made from a quantized ONNX file and has no fp32 to quantize.",
            "Import the fp32 file that it was quantized from, with `edgecnn import`.",
        )
    return bundle.locate(name)


def _measured_on_stand_ins(bundle: Bundle) -> str:
    return (
        f"The golden vectors of {bundle.folder} are stand-in images, and never change: what "
        "`edgecnn parity` allows int8 is measured on them. Import again with --data for real ones."
    )


def _refuse_quantized(source: Variant) -> None:
    if source.precision != "fp32" or source.format != "onnx":
        raise InputError(
            f"The variant '{source.name}' is {source.precision} {source.format}; "
            "only fp32 ONNX is quantized.",
            "Name an fp32 variant with --variant.",
        )


def _what_can_be_proved(images: int, max_drop: float) -> str:
    best, usual = smallest_provable_drop(images, 0), smallest_provable_drop(images, 0.01)
    text = (
        f"{images:,} test images can rule out a loss of {points(best)} points if no answer "
        f"changes, and of {points(usual)} if one in a hundred does."
    )
    if best > max_drop:
        text += f" They cannot prove that it is within {points(max_drop)}."
    return text


def _calibration_images(dataset: Dataset, samples: int | None) -> NDArray[np.uint8]:
    have = len(dataset.train)
    if (samples or 1) > have:
        raise InputError(
            f"{dataset.source} has {have} training images, fewer than {samples or 1}.",
            f"Use --calibration-samples {have}." if have else "Name other data with --data.",
        )
    count = samples or min(CALIBRATION_SAMPLES, have)
    images: NDArray[np.uint8] = dataset.train.images[by_content(dataset.train)[:count]]
    return images


def _quantized(source: Variant, bundle: Bundle, images: NDArray[np.uint8], plan: Plan) -> ir.Model:
    from edgecnn.graph.clean import from_bytes
    from edgecnn.graph.prefix import float_core, put_preprocessing_in_front

    contract = bundle.manifest.contract
    model = from_bytes(source.path.read_bytes(), where=str(source.path))
    if not source.preprocessing:
        return quantize_core(model, contract, images, plan)
    quantized = quantize_core(float_core(model), contract, images, plan)
    return put_preprocessing_in_front(quantized, contract)


def _measure_and_write(job: Job, model: ir.Model) -> QuantizeReport:
    from edgecnn.graph.clean import to_bytes

    content, draft = to_bytes(model), _draft(job)
    with temporary_file(draft.files[0], content) as path:
        located = replace(draft, files=(str(path),))
        before, after = answer(job, job.source, 0.2), answer(job, located, 0.35)
        latency = measure_latency(job, located)
        report = report_on(job, located, model, (before, after), latency)
    written = replace(draft, tolerances=report.tolerances, verdict=report.verdict)
    expected = make_expected(after.golden_outputs, runtime="ort", provider="cpu")
    extend(job.bundle, {draft.files[0]: content, str(draft.golden): expected}, written)
    return report


def _draft(job: Job) -> Variant:
    source = job.source
    name = source.name.replace("fp32", "int8") if "fp32" in source.name else f"{source.name}-int8"
    flag = "" if source.name == "fp32" else f" --variant {source.name}"
    settings = {
        "scheme": str(job.plan.scheme),
        "calibration": f"{job.calibration_images} training images of {job.dataset.name}",
    }
    return replace(
        source,
        name=name,
        precision="int8",
        files=(f"{name}.onnx",),
        parent=job.bundle.parent(job.bundle.variant(source.name).files[0]),
        made_by=f"edgecnn quantize{flag}",
        golden=f"{name}.golden.npz",
        settings=settings | ({"golden": "stand-in images"} if job.vectors.stand_in else {}),
        verdict=None,
    )


def _ignore(what: str, share: float) -> None:
    pass
