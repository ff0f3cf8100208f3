"""`edgecnn quantize`, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import extras
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.bundle_data import bundle_data
from edgecnn.data import Dataset
from edgecnn.errors import InputError
from edgecnn.golden import golden
from edgecnn.progress import Progress, part_of, tell_nobody
from edgecnn.quantization.calibration.choosing import Images
from edgecnn.quantization.calibration.draws import SELECTION_SAMPLES, Draw, draw, refuse_unreal
from edgecnn.quantization.calibration.spread import Spread, measure_spread
from edgecnn.quantization.candidates import find_plan
from edgecnn.quantization.choosing import default_scheme
from edgecnn.quantization.cpus import CPUS
from edgecnn.quantization.fastest import Fastest
from edgecnn.quantization.gate import what_can_be_proved
from edgecnn.quantization.making import Subject, make_int8
from edgecnn.quantization.measuring import Found, Job
from edgecnn.quantization.mixed import Mixed, find_mixed, point_latency
from edgecnn.quantization.options import Wishes, check_wishes
from edgecnn.quantization.pixels import feed
from edgecnn.quantization.placing import base_plan
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.refusing import refuse
from edgecnn.quantization.report import QuantizeReport
from edgecnn.quantization.tensors import measure_tensors
from edgecnn.quantization.trying import try_schemes
from edgecnn.quantization.writing import draft_variant, int8_name, measure_and_write, read_core
from edgecnn.runtime import check_available
from edgecnn.spec import Variant

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.spec import InputContract

Note = Callable[[str], None]

LATENCY_SECONDS = 3.0
_MIXED_SECONDS = 1.0
# Whether a mix loses little enough takes more images to tell than which candidate is the nearest.
_MIXED_SELECTION = 4096


def quantize(
    bundle: Bundle | Path | str,
    *,
    variant: str = "fp32",
    cpu: str | None = None,
    scheme: str | None = None,
    calibration: str | Sequence[str] | None = None,
    calibration_samples: int | None = None,
    selection_samples: int | None = None,
    calibration_resamples: int | None = None,
    mixed: bool = False,
    max_drop: float | None = None,
    min_sqnr: float | None = None,
    data: Dataset | str | Path | None = None,
    data_dir: Path | None = None,
    threads: int | None = None,
    duration: float | None = None,
    note: Note | None = None,
    progress: Progress | None = None,
) -> QuantizeReport:
    """Make an int8 variant of a bundle, and measure it against the one it was made from.

    Static quantization, per channel. Ranges come from calibration images; how they are taken is
    chosen on selection images, both of the training split; the test split is read once, for the
    final figure. The variant is called `int8`, or `int8-nchw` and so on after the form that it was
    made from, and `int8-u8s8` and so on after a scheme that is not safe on every CPU.

    Args:
        bundle: A bundle or its folder.
        variant: The fp32 variant to quantize.
        cpu: The CPUs that it will meet: `any` by default, `auto` for this one, or names such as
            `avx2,vnni,arm64`. The scheme is made safe on all of them.
        scheme: Number formats instead of the ones chosen for the CPUs, such as `s8s8`.
        calibration: How ranges are taken, such as `minmax` or `minmax,mse`; several are compared.
        calibration_samples: Images of the training split that set the ranges; 512 by default, or
            all if there are fewer.
        selection_samples: Images of the training split that candidates are compared on; 1,024 by
            default, or what there is.
        calibration_resamples: Other draws of calibration images whose results are compared.
        mixed: Leave in float the layers that int8 hurts most, until the rest is good enough.
        max_drop: Largest loss of accuracy allowed; 0.005 is half a point.
        min_sqnr: Least signal-to-quantization-noise ratio wanted of the worst output, in dB, on
            test images; for outputs of any kind.
        data: Other data to calibrate and test on, or its source; the bundle's own by default.
        data_dir: Folder for downloaded data.
        threads: Threads of the measured sessions; by default the cores allowed.
        duration: Seconds of measuring latency, 3 by default; openings and warm-ups come on top.
        note: Called with sentences that people should read.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Returns:
        What was measured. Where `max_drop` or `min_sqnr` is not met, `gate` says so; the variant is
        written all the same, with its verdict.

    Raises:
        DataError: There is no data to calibrate on.
        InputError: A name is unknown, or a number cannot be.
        ModelError: The model cannot be quantized.
        BundleError: The variant is missing, stale, damaged, or changed meanwhile.
        UnavailableError: A package is missing.
    """
    extras.require("`edgecnn quantize`", "onnx", "onnx_ir")
    check_available("ort", "cpu")
    wishes = check_wishes(
        cpu=cpu,
        scheme=scheme,
        calibration=calibration,
        calibration_samples=calibration_samples,
        selection_samples=selection_samples,
        calibration_resamples=calibration_resamples,
        mixed=mixed,
        max_drop=max_drop,
        min_sqnr=min_sqnr,
    )
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    source = _source(opened, variant)
    _refuse(opened, source, wishes)
    tell, say = progress or tell_nobody, note or _ignore_note
    tell("Loading data", 0.0)
    dataset = data if isinstance(data, Dataset) else _data(opened, data, data_dir, tell)
    seconds = LATENCY_SECONDS if duration is None else duration
    job = Job(opened, source, dataset, golden(opened), wishes, threads, seconds, tell)
    _say_before(job, say)
    return _quantize(job, say)


def _quantize(job: Job, say: Note) -> QuantizeReport:
    wishes = job.wishes
    drawn = draw(
        job.dataset,
        wishes.calibration_samples,
        wishes.selection_samples,
        usual_selection=_MIXED_SELECTION if wishes.mixed else SELECTION_SAMPLES,
    )
    images = _images(job.dataset, drawn)
    job, fastest = _with_fastest(job, images, say) if wishes.fastest else (job, None)
    wishes = job.wishes
    core, contract = feed(
        read_core(job.source),
        job.bundle.manifest.contract,
        pixels=job.source.preprocessing,
        scheme=wishes.choice.scheme,
    )
    base = base_plan(core, wishes.choice.scheme)
    tell = part_of(job.tell, 0.1, 0.45)
    job.tell(f"Calibrating on {len(drawn.calibration)} images", 0.1)
    chosen = find_plan(
        core, contract, images, base, wishes.calibrations, classes=job.classes, tell=tell
    )
    plan, model, mixed = chosen.plan, chosen.model, None
    if wishes.mixed:
        plan, mixed = _mixed(job, chosen.subject, plan, drawn)
        model = make_int8(chosen.subject, plan)
        for reason in mixed.verdict.reasons:
            say(reason)
    spread = _spread(job, core, contract, plan) if wishes.resamples else None
    found = Found(
        plan,
        contract,
        len(drawn.calibration),
        images.selection,
        chosen.choices,
        spread,
        mixed,
        tensors=measure_tensors(chosen.subject, model, images.selection),
        fastest=fastest,
    )
    return measure_and_write(job, model, _draft(job, found), found)


def _with_fastest(job: Job, images: Images, say: Note) -> tuple[Job, Fastest]:
    job.tell("Measuring which scheme is the fastest", 0.1)
    choice, fastest, sentences = try_schemes(job, images.calibration)
    for sentence in sentences:
        say(sentence)
    return replace(job, wishes=replace(job.wishes, choice=choice)), fastest


def _mixed(job: Job, subject: Subject, plan: Plan, drawn: Draw) -> tuple[Plan, Mixed]:
    selection = job.dataset.train.take(drawn.selection)
    return find_mixed(
        subject,
        plan,
        selection.images,
        selection.labels if job.classes else None,
        classes=job.classes,
        max_drop=job.wishes.max_drop,
        latency=point_latency(
            job.source,
            subject.contract,
            job.vectors.images,
            threads=job.threads,
            seconds=_MIXED_SECONDS,
        ),
        tell=part_of(job.tell, 0.45, 0.58),
    )


def _images(dataset: Dataset, drawn: Draw) -> Images:
    train = dataset.train
    return Images(train.take(drawn.calibration).images, train.take(drawn.selection).images)


def _spread(job: Job, core: ir.Model, contract: InputContract, plan: Plan) -> Spread:
    wishes = job.wishes
    return measure_spread(
        core,
        contract,
        job.dataset,
        plan,
        wishes.resamples,
        classes=job.classes,
        calibration_samples=wishes.calibration_samples,
        selection_samples=wishes.selection_samples,
        tell=part_of(job.tell, 0.58, 0.62),
    )


def _draft(job: Job, found: Found) -> Variant:
    plan, images = found.plan, f"{found.calibration_images} training images of {job.dataset.name}"
    settings = {
        "scheme": str(plan.scheme),
        "cpus": ", ".join(job.wishes.choice.fleet),
        "calibration": f"{plan.calibration} of {images}",
        "corrections": ", ".join(plan.corrections),
        "in float": ", ".join(plan.in_float),
    }
    known = {name: text for name, text in settings.items() if text}
    return draft_variant(job, int8_name(job), _made_by(job), known)


def _made_by(job: Job) -> str:
    wishes, parts = job.wishes, ["edgecnn quantize"]
    if job.source.name != "fp32":
        parts.append(f"--variant {job.source.name}")
    if wishes.fleet != CPUS:
        parts.append(f"--cpu {','.join(wishes.choice.fleet)}")
    if wishes.choice.scheme != default_scheme(wishes.fleet):
        parts.append(f"--scheme {wishes.choice.scheme.name}")
    if wishes.mixed:
        parts.append("--mixed")
    return " ".join(parts)


def _data(
    bundle: Bundle, source: str | Path | None, data_dir: Path | None, tell: Progress
) -> Dataset:
    return bundle_data(bundle, source, data_dir=data_dir, progress=part_of(tell, 0.0, 0.1))


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


def _refuse(bundle: Bundle, source: Variant, wishes: Wishes) -> None:
    _refuse_quantized(source)
    if wishes.max_drop is not None and bundle.manifest.contract.output_kind == "other":
        raise InputError(
            f"The outputs of {bundle.folder} are not classes, so there is no accuracy to lose.",
            "Use --min-sqnr 20dB instead of --max-drop: it holds any output against fp32.",
        )
    refuse(read_core(source), source)


def _say_before(job: Job, say: Note) -> None:
    refuse_unreal(job.bundle, job.dataset)
    if job.vectors.stand_in:
        say(_measured_on_stand_ins(job.bundle))
    if job.wishes.named:
        say(job.wishes.choice.reason)
    if job.wishes.max_drop is not None:
        say(what_can_be_proved(len(job.dataset.test), job.wishes.max_drop))


def _refuse_quantized(source: Variant) -> None:
    if source.precision != "fp32" or source.format != "onnx":
        raise InputError(
            f"The variant '{source.name}' is {source.precision} {source.format}; "
            "only fp32 ONNX is quantized.",
            "Name an fp32 variant with --variant.",
        )


def _ignore_note(text: str) -> None:
    pass
