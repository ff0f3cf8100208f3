"""`edgecnn export --precision fp16`: half precision, measured beside the fp32 it was made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from edgecnn.agreement import Agreement
from edgecnn.benchmark import LatencyComparison
from edgecnn.bundle import Bundle, extend
from edgecnn.bundle_data import bundle_data
from edgecnn.data import Dataset
from edgecnn.disk import temporary_file
from edgecnn.errors import InputError, ModelError
from edgecnn.evaluation import PairedAccuracy
from edgecnn.golden import golden, make_expected
from edgecnn.graph.clean import to_bytes
from edgecnn.graph.halves import LARGEST, rounded_to_fp16, to_fp16
from edgecnn.graph.prefix import put_preprocessing_in_front
from edgecnn.progress import Progress, tell_nobody
from edgecnn.quantization.calibration.observing import observe
from edgecnn.quantization.measuring import (
    Job,
    agreement_of,
    answer,
    measure_latency,
    pair_up,
    side_of,
    tolerances_of,
)
from edgecnn.quantization.options import check_wishes
from edgecnn.quantization.report import Side
from edgecnn.quantization.running import run_core
from edgecnn.quantization.writing import draft_variant, read_core
from edgecnn.records import sha256
from edgecnn.spec import Precision, Tolerance, Variant, Verdict

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

Outputs = dict[str, "NDArray[np.float32]"]

LATENCY_SECONDS = 3.0
# Ten bits of mantissa leave some 60 dB; far below that, something overflowed or vanished.
LEAST_SQNR_DB = 40.0


@dataclass(frozen=True)
class HalfReport:
    """What fp16 costs and gains.

    Attributes:
        file: The new file's name in the bundle.
        sha256: Its digest.
        data: Short name of the data.
        test_images: Images of the test split that both were measured on.
        fp32: The variant it was made from.
        fp16: The new variant.
        paired: Both on the same images; None where outputs are no classes.
        agreement: How far each output of fp16, by its name, lies from the golden one where every
            number between layers is stored in fp16, as on a GPU.
        latency: Both in turn, on this CPU, each in a process of its own.
        tolerances: What `edgecnn parity` allows each output from now on, by its name.
        verdict: Whether fp16 is worth having on this CPU.
    """

    file: str
    sha256: str
    data: str
    test_images: int
    fp32: Side
    fp16: Side
    paired: PairedAccuracy | None
    agreement: dict[str, Agreement]
    latency: LatencyComparison
    tolerances: dict[str, Tolerance]
    verdict: Verdict


def refuse_bf16() -> None:
    """Say what runs bfloat16 instead.

    Raises:
        InputError: Always.
    """
    raise InputError(
        "ONNX's convolutions take no bfloat16 before opset 22, and ONNX Runtime has none on CPUs.",
        "Use --precision fp32: OpenVINO computes such a file in bfloat16 by itself on CPUs with "
        "AMX; or --precision fp16 for GPUs.",
    )


def check_precision(name: str) -> None:
    """Refuse what nothing is made in.

    Raises:
        InputError: It is none of fp32, int8 and fp16.
    """
    if name == "bf16":
        refuse_bf16()
    if name not in get_args(Precision):
        raise InputError(f"No precision is called '{name}'.", "Use fp32, int8 or fp16.")


def halve(
    bundle: Bundle,
    variant: str,
    *,
    data: Dataset | str | Path | None = None,
    data_dir: Path | None = None,
    threads: int | None = None,
    duration: float | None = None,
    progress: Progress | None = None,
) -> HalfReport:
    """Make an fp16 variant of an fp32 one, and measure it against that.

    Weights and arithmetic are fp16; pixels stay uint8 and outputs float32. The variant is called
    `fp16`, or `fp16-nchw` and so on after the form that it was made from.

    Args:
        bundle: The bundle.
        variant: The fp32 variant.
        data: Other data to test on than the bundle's own, or its source.
        data_dir: Folder for downloaded data.
        threads: Threads of the measured sessions; by default the cores allowed.
        duration: Seconds of measuring latency, 3 by default.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        DataError: There is no data to test on.
        ModelError: A weight or an answer is too large for fp16.
        BundleError: The variant is missing, stale, damaged, or changed meanwhile.
    """
    source, tell = bundle.locate(variant), progress or tell_nobody
    if not isinstance(data, Dataset):
        data = bundle_data(bundle, data, data_dir=data_dir)
    seconds = LATENCY_SECONDS if duration is None else duration
    job = Job(bundle, source, data, golden(bundle), check_wishes(), threads, seconds, tell)
    before, contract = read_core(source), bundle.manifest.contract
    core = to_fp16(before)
    _refuse_overflow(job, before)
    stored = run_core(rounded_to_fp16(before), contract, job.vectors.images)
    model = put_preprocessing_in_front(core, contract) if source.preprocessing else core
    return _measure_and_write(job, to_bytes(model), _draft(job), stored)


def _draft(job: Job) -> Variant:
    name = job.source.name
    name = name.replace("fp32", "fp16") if "fp32" in name else f"{name}-fp16"
    made_by = job.source.made_by
    command = made_by if made_by.startswith("edgecnn export") else "edgecnn export"
    draft = draft_variant(job, name, f"{command} --precision fp16", {"precision": "fp16"})
    return replace(draft, precision="fp16")


def _measure_and_write(job: Job, content: bytes, draft: Variant, stored: Outputs) -> HalfReport:
    with temporary_file(draft.files[0], content) as path:
        located = replace(draft, files=(str(path),))
        answers = answer(job, job.source, 0.2), answer(job, located, 0.35)
        worse = _worse(job, stored, answers[1].golden_outputs)
        agreement = agreement_of(job, worse)
        _refuse_what_is_lost(located, agreement)
        latency = measure_latency(job, located)
        report = HalfReport(
            file=draft.files[0],
            sha256=sha256(content),
            data=job.dataset.name,
            test_images=len(job.dataset.test),
            fp32=side_of(job, job.source, answers[0], latency.first_median_seconds),
            fp16=side_of(job, located, answers[1], latency.second_median_seconds),
            paired=pair_up(job, located, answers),
            agreement=agreement,
            latency=latency,
            tolerances=tolerances_of(job, worse, bit_exact=False),
            verdict=judge(latency),
        )
    written = replace(draft, tolerances=report.tolerances, verdict=report.verdict)
    expected = make_expected(answers[1].golden_outputs, runtime="ort", provider="cpu")
    extend(job.bundle, {draft.files[0]: content, str(draft.golden): expected}, written)
    return report


def _worse(job: Job, stored: Outputs, computed: Outputs) -> Outputs:
    """Give, of each output, what lies further from the golden one: tolerances must hold both."""
    first, second = agreement_of(job, stored), agreement_of(job, computed)
    return {
        name: (stored if first[name].sqnr_db < second[name].sqnr_db else computed)[name]
        for name in computed
    }


def _refuse_overflow(job: Job, core: ir.Model) -> None:
    # ONNX Runtime's CPU keeps float32 between layers: only a GPU would answer infinity.
    for name, seen in observe(core, job.bundle.manifest.contract, job.vectors.images).items():
        largest = max(abs(seen.low), abs(seen.high))
        if largest > LARGEST:
            raise ModelError(
                f"'{name}' reaches {largest:.3g} on the golden images, more than fp16's "
                f"{LARGEST:,.0f}.",
                "Keep the fp32 variant.",
            )


def _refuse_what_is_lost(located: Variant, agreement: dict[str, Agreement]) -> None:
    for output, found in agreement.items():
        if found.sqnr_db < LEAST_SQNR_DB:
            raise ModelError(
                f"In fp16 the output '{output}' lies {found.sqnr_db:.0f} dB (SQNR) from the golden "
                f"one, and {LEAST_SQNR_DB:.0f} is the least that rounding alone leaves: numbers "
                "between layers are too large or too small for fp16.",
                "Keep the fp32 variant.",
            )


def judge(latency: LatencyComparison) -> Verdict:
    """Say whether fp16 is worth having on a CPU."""
    name, ratio = latency.second, latency.ratio
    where = "ONNX Runtime computes it in fp32 on most CPUs and casts; fp16 is for GPUs and NPUs"
    if latency.outcome == "slower":
        text = f"{name} is slower on this CPU: {ratio:.2f} times the time of {latency.first}. "
        return Verdict("fail", (f"{text}{where}. Keep {latency.first} on CPUs.",))
    if latency.outcome == "faster":
        return Verdict("pass", (f"{name} takes {ratio:.2f} times the time of {latency.first}.",))
    if latency.outcome == "no difference":
        text = f"{name} is not faster than {latency.first} on this CPU, only smaller. {where}."
        return Verdict("pass", (text,))
    return Verdict("inconclusive", (f"Too little was measured to tell whether {name} is faster.",))
