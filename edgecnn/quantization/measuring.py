"""What int8 costs and gains, measured beside the variant that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.agreement import Agreement, compare, quantized_tolerance
from edgecnn.benchmark import LatencyComparison, compare_latency
from edgecnn.bundle import Bundle
from edgecnn.data import Dataset
from edgecnn.errors import ModelError
from edgecnn.evaluation import PairedAccuracy, compare_answers
from edgecnn.golden import Golden
from edgecnn.predictor import Predictor, holds_scores
from edgecnn.progress import Progress
from edgecnn.quantization.calibration.choosing import Choices
from edgecnn.quantization.calibration.spread import Spread
from edgecnn.quantization.fastest import Fastest
from edgecnn.quantization.gate import judge_drop, judge_sqnr, on_other_cpus, worst_of
from edgecnn.quantization.mixed import Mixed
from edgecnn.quantization.nearness import image_sums
from edgecnn.quantization.options import Wishes
from edgecnn.quantization.patches import find_patched
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.report import QuantizeReport, Side
from edgecnn.quantization.safety import LARGEST_INT16, AsItRuns, as_it_runs, largest_pair_sums
from edgecnn.quantization.saturation import SaturationReport, audit, images_for
from edgecnn.quantization.tensors import TensorLoss
from edgecnn.quantization.verdict import Work, judge
from edgecnn.records import sha256
from edgecnn.runtime import open_session
from edgecnn.spec import InputContract, Tolerance, Variant, Verdict
from edgecnn.stats import wilson

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Job:
    """What is quantized, and on what it is measured.

    Attributes:
        bundle: The bundle.
        source: The variant that int8 is made from, located.
        dataset: Its training images calibrated; its test images are answered.
        vectors: The golden vectors.
        wishes: What was asked for.
        threads: Threads of the sessions; None for the cores allowed.
        seconds: How long latency is measured.
        tell: Called with what is done and the share (0 to 1) that is behind.
    """

    bundle: Bundle
    source: Variant
    dataset: Dataset
    vectors: Golden
    wishes: Wishes
    threads: int | None
    seconds: float
    tell: Progress

    @property
    def classes(self) -> bool:
        """Whether the outputs are scores of classes."""
        return self.bundle.manifest.contract.output_kind != "other"


@dataclass(frozen=True, eq=False)
class Found:
    """What was found on images of the training split before anything was measured.

    Attributes:
        plan: How it is quantized.
        contract: How pixels become the input of the quantized core.
        calibration_images: Images that set the ranges.
        selection: Images that candidates were compared on, uint8 [M, height, width, channels].
        choices: The candidates; None if there was nothing to choose.
        spread: What other draws of calibration images would give; None if not asked for.
        mixed: Which layers stay in float, and why; None likewise.
        tensors: How far each tensor lies from fp32, in the order of the graph.
        fastest: Which scheme is the fastest; None likewise.
    """

    plan: Plan
    contract: InputContract
    calibration_images: int
    selection: NDArray[np.uint8]
    choices: Choices | None = None
    spread: Spread | None = None
    mixed: Mixed | None = None
    tensors: tuple[TensorLoss, ...] = ()
    fastest: Fastest | None = None


@dataclass(frozen=True)
class Answers:
    """What a variant answered.

    Attributes:
        labels: The likeliest class of each test image, int64 [N]; None where outputs are no
            classes.
        golden_outputs: Every output for the golden images, by its name.
    """

    labels: NDArray[np.int64] | None
    golden_outputs: dict[str, NDArray[np.float32]]


def report_on(
    job: Job,
    located: Variant,
    model: ir.Model,
    answers: tuple[Answers, Answers],
    latency: LatencyComparison,
    found: Found,
) -> QuantizeReport:
    """Put together what was found.

    Args:
        job: What was quantized.
        located: The new variant.
        model: What is in it.
        answers: Of the source and of the new variant.
        latency: Of both, in turn.
        found: What led to the new variant.
    """
    content, labels = located.path.read_bytes(), job.dataset.test.labels
    running = as_it_runs(content)
    work = _work(job.source, running, model, found.plan)
    largest = max(largest_pair_sums(model).values(), default=0)
    safe = largest <= LARGEST_INT16 and running.same_everywhere
    paired = pair_up(job, located, answers)
    saturation = _saturation(job, content, largest, found)
    gate = _gate(job, located, paired)
    agreement = agreement_of(job, answers[1].golden_outputs)
    return QuantizeReport(
        bundle=str(job.bundle.folder),
        file=located.path.name,
        sha256=sha256(content),
        scheme=str(found.plan.scheme),
        calibration_images=found.calibration_images,
        data=job.dataset.name,
        test_images=len(labels),
        fp32=side_of(job, job.source, answers[0], latency.first_median_seconds),
        int8=side_of(job, located, answers[1], latency.second_median_seconds),
        paired=paired,
        agreement=agreement,
        stand_in=job.vectors.stand_in,
        latency=latency,
        work=work,
        largest_pair_sum=largest,
        uneven_operators=running.uneven,
        tolerances=tolerances_of(job, answers[1].golden_outputs, bit_exact=safe),
        max_drop=job.wishes.max_drop,
        gate=gate and _everywhere(job, gate, saturation),
        verdict=_everywhere(job, judge(paired, agreement, latency, gate, work), saturation),
        plan=found.plan,
        scheme_reason=job.wishes.choice.reason,
        cpus=job.wishes.choice.fleet,
        at_risk=job.wishes.choice.at_risk,
        choices=found.choices,
        spread=found.spread,
        mixed=found.mixed,
        fastest=found.fastest,
        saturation=saturation,
        min_sqnr=job.wishes.min_sqnr,
        tensors=found.tensors,
    )


def _gate(job: Job, located: Variant, paired: PairedAccuracy | None) -> Verdict | None:
    wishes, verdicts = job.wishes, []
    if paired is not None and wishes.max_drop is not None:
        verdicts.append(judge_drop(paired, wishes.max_drop, len(job.dataset.test.labels)))
    if wishes.min_sqnr is not None:
        job.tell("Comparing answers with fp32", 0.96)
        sums = image_sums(job, located)
        verdicts.append(judge_sqnr(*sums, wishes.min_sqnr, located.name))
    return worst_of(verdicts)


def _saturation(job: Job, content: bytes, largest: int, found: Found) -> SaturationReport | None:
    """Replay what a CPU of the fleet that saturates would do, if the weights do not rule it out."""
    if largest <= LARGEST_INT16 or not job.wishes.choice.at_risk:
        return None
    job.tell("Replaying what saturates on other CPUs", 0.97)
    contract = job.bundle.manifest.contract
    return audit(content, contract, found.selection[: images_for(contract)])


def _everywhere(job: Job, verdict: Verdict, replayed: SaturationReport | None) -> Verdict:
    return on_other_cpus(verdict, replayed, job.wishes.choice.at_risk) if replayed else verdict


def _work(source: Variant, running: AsItRuns, model: ir.Model, plan: Plan) -> Work:
    from edgecnn.graph.summary import summarise

    original, patched = source.path.read_bytes(), find_patched(model)
    return Work(
        macs=summarise(original, where=str(source.path)).macs,
        fp32_operators=as_it_runs(original).operators,
        int8_operators=running.operators,
        float_operators=running.floating,
        scheme=plan.scheme.name,
        patched=patched.layers,
        patched_share=patched.share,
    )


def answer(job: Job, located: Variant, done: float) -> Answers:
    """Run a located variant on the golden images and, where outputs are classes, the test images.

    Raises:
        ModelError: It answers NaN or infinity, or no row of scores where there should be one.
    """
    import numpy as np

    job.tell(f"Measuring the accuracy of {located.name}", done)
    contract = job.bundle.manifest.contract
    with open_session(located, provider="cpu", threads=job.threads) as session:
        predictor = Predictor(contract, located, session)
        on_golden = predictor.run_all(job.vectors.images)
        broken = [name for name, output in on_golden.items() if not np.isfinite(output).all()]
        if broken:
            raise ModelError(
                f"{located.name} answers with NaN or infinity in {', '.join(broken)}.",
                "Keep the fp32 variant.",
            )
        if contract.output_kind == "other":
            return Answers(None, on_golden)
        outputs = predictor.run(job.dataset.test.images)
    if outputs.ndim != 2 or not np.isfinite(outputs).all():
        raise ModelError(
            f"{located.name} answers with NaN, infinity or no row of scores.",
            "Keep the fp32 variant; where outputs are no classes, import with "
            "`--output-kind other`.",
        )
    return Answers(outputs.argmax(axis=1).astype(np.int64), on_golden)


def measure_latency(job: Job, located: Variant) -> LatencyComparison:
    """Measure the source and the new variant in turn, at batch 1 or at their fixed batch."""

    def tell(what: str, share: float) -> None:
        job.tell(what, 0.75 + share / 5)

    return compare_latency(
        job.source,
        located,
        job.vectors.images,
        job.bundle.manifest.contract,
        provider="cpu",
        threads=job.threads,
        seconds=job.seconds,
        batch_size=1 if located.batch == "dynamic" else located.batch,
        progress=tell,
    )


def pair_up(job: Job, located: Variant, answers: tuple[Answers, Answers]) -> PairedAccuracy | None:
    """Compare the source's answers and the new variant's; None where outputs are no classes."""
    first, second = (each.labels for each in answers)
    if first is None or second is None:
        return None
    return compare_answers(job.source.name, located.name, first, second, job.dataset.test.labels)


def agreement_of(job: Job, outputs: dict[str, NDArray[np.float32]]) -> dict[str, Agreement]:
    """Say how far each output for the golden images lies from the golden one."""
    decisions = _decisions(job, outputs)
    golden_outputs = job.vectors.outputs
    return {
        name: compare(output, golden_outputs[name], decisions=decisions[name])
        for name, output in outputs.items()
    }


def tolerances_of(
    job: Job, outputs: dict[str, NDArray[np.float32]], *, bit_exact: bool
) -> dict[str, Tolerance]:
    """Give what `edgecnn parity` allows each output from now on."""
    decisions = _decisions(job, outputs)
    return {
        name: quantized_tolerance(
            output, job.vectors.outputs[name], decisions=decisions[name], bit_exact=bit_exact
        )
        for name, output in outputs.items()
    }


def _decisions(job: Job, outputs: dict[str, NDArray[np.float32]]) -> dict[str, bool]:
    contract, names = job.bundle.manifest.contract, list(outputs)
    return {name: holds_scores(contract, name, names) for name in names}


def side_of(job: Job, located: Variant, answers: Answers, seconds: float) -> Side:
    """Put together what was measured of one variant; `seconds` is its median latency."""
    size = located.path.stat().st_size
    if answers.labels is None:
        return Side(located.name, None, None, size, seconds)
    correct = int((answers.labels == job.dataset.test.labels).sum())
    return Side(located.name, correct, wilson(correct, len(answers.labels)), size, seconds)
