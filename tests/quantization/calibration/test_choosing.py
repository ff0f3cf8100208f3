"""The nearest candidate is chosen where it is proven, the simplest where it is not."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgecnn.data import Dataset
from edgecnn.errors import InputError
from edgecnn.quantization.calibration.choosing import (
    Choices,
    Images,
    choose,
    describe,
    nearest,
)
from edgecnn.quantization.calibration.draws import draw
from edgecnn.quantization.calibration.spread import Spread, measure_spread
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.running import run_core
from edgecnn.quantization.schemes import SAFE, find_scheme
from edgecnn.records import from_json, to_json
from tests.conftest import CONTRACT, TinyNet

PLAIN = Plan(preparations=())
COARSE = Plan(calibration="percentile-99.9", preparations=())
FLOAT = Plan(preparations=(), in_float=("Conv_0",))


@pytest.fixture
def images(tiny_net: TinyNet) -> Images:
    return Images(tiny_net.images[:40], tiny_net.images[40:140])


@pytest.fixture
def in_float(core: ir.Model) -> Plan:
    """Give a plan that leaves the convolution in float."""
    from edgecnn.quantization.preparing import prepare

    names = [str(node.name) for node in prepare(core, ()).graph if node.op_type != "Flatten"]
    return Plan(preparations=(), in_float=tuple(names))


def pick(core: ir.Model, images: Images, *plans: Plan, classes: bool = True) -> Choices:
    return choose(core, CONTRACT, images, plans, classes=classes).choices


@pytest.mark.parametrize("classes", [True, False])
def test_a_later_plan_that_is_proven_nearer_is_chosen(
    core: ir.Model, images: Images, in_float: Plan, classes: bool
) -> None:
    found = pick(core, images, COARSE, in_float, classes=classes)
    assert found.chosen == 1
    assert found.plan == in_float
    first, second = (each.distance for each in found.candidates)
    assert second.sqnr_db > first.sqnr_db + 6
    assert (first.margin_error is not None) == classes
    assert "is proven nearer to fp32 than percentile-99.9 on 100 sel" in found.reason
    assert ("dB" in found.reason) != classes


def test_of_equals_the_simpler_is_chosen(core: ir.Model, images: Images) -> None:
    found = pick(core, images, PLAIN, PLAIN, PLAIN)
    assert found.chosen == 0
    assert "No candidate is proven nearer to fp32 than minmax" in found.reason
    assert "100 selection images" in found.reason


def test_a_worse_plan_is_not_chosen(core: ir.Model, images: Images, in_float: Plan) -> None:
    assert pick(core, images, in_float, PLAIN, COARSE).chosen == 0


def test_what_comes_later_must_be_proven_against_what_was_chosen_so_far(
    core: ir.Model, images: Images, in_float: Plan
) -> None:
    assert pick(core, images, COARSE, in_float, PLAIN, in_float).chosen == 1


def test_smaller_by_less_than_chance_is_not_proven() -> None:
    random = np.random.default_rng(4)
    error = random.chisquare(1, 400)
    noise = random.normal(size=400)
    noise = (noise - noise.mean()) / noise.std()  # its mean has a standard error of 0.05
    for shift, chosen in ((-0.05, 0), (0.05, 0), (-0.25, 1)):
        assert nearest([error, error + noise + shift]) == chosen
    # Smaller by two standard errors: proven for one candidate, for one of ten that may be luck.
    lucky = error + noise - 0.11
    assert nearest([error, lucky]) == 1
    assert nearest([error, *[error] * 8, lucky]) == 0


def test_few_images_prove_nothing(core: ir.Model, images: Images, in_float: Plan) -> None:
    few = Images(images.calibration, images.selection[:29])
    assert pick(core, few, COARSE, in_float).chosen == 0


def test_one_candidate_is_the_only_one(core: ir.Model, images: Images) -> None:
    found = pick(core, images, PLAIN)
    assert found.reason == "minmax was the only candidate."
    assert from_json(Choices, to_json(found), where="choices") == found


def test_distances_are_those_of_the_plan_on_the_selection_images(
    core: ir.Model, images: Images
) -> None:
    [candidate] = pick(core, images, COARSE).candidates
    model = quantize_core(core, CONTRACT, images.calibration, COARSE)
    answers, reference = (
        next(iter(run_core(each, CONTRACT, images.selection).values())) for each in (model, core)
    )
    assert candidate.distance.images == 100
    assert candidate.distance.flips == int((answers.argmax(1) != reference.argmax(1)).sum())


def test_plans_are_named_by_what_sets_them_apart() -> None:
    signed = Plan(find_scheme("s8s8"), "mse")
    assert describe(signed) == "mse"
    assert describe(signed, [signed, Plan()]) == "mse with s8s8"
    corrected = Plan(SAFE, "mse", corrections=("bias",))
    assert describe(corrected, [corrected, Plan()]) == "mse with bias"
    assert describe(Plan(), [corrected, Plan()]) == "minmax"
    assert describe(FLOAT, [FLOAT, PLAIN]) == "minmax with 1 in float"
    assert describe(PLAIN, [FLOAT, PLAIN]) == "minmax"


def test_the_spread_of_other_draws(core: ir.Model, tiny_data: Dataset) -> None:
    found = measure_spread(
        core,
        CONTRACT,
        tiny_data,
        PLAIN,
        2,
        classes=True,
        calibration_samples=10,
        selection_samples=40,
    )
    assert [each.resample for each in found.draws] == [0, 1, 2]
    # One class has few images: they are in every draw.
    assert [each.shared for each in found.draws] == [0, 3, 4]
    assert (found.calibration_images, found.selection_images) == (10, 40)
    assert len({each.distance.sqnr_db for each in found.draws}) == 3
    drawn, train = draw(tiny_data, 10, 40), tiny_data.train
    own = Images(train.take(drawn.calibration).images, train.take(drawn.selection).images)
    assert found.draws[0].distance == pick(core, own, PLAIN).candidates[0].distance
    scores = run_core(core, CONTRACT, own.selection)["logits"]
    right = (scores.argmax(1) == train.labels[drawn.selection]).mean()
    assert found.fp32_accuracy == pytest.approx(right)
    assert str(found).startswith("With 3 draws of 10 calibration images, the margin error is ")
    assert str(found).endswith(" on the same 40 selection images.")
    assert from_json(Spread, to_json(found), where="spread") == found


def test_a_spread_without_classes_is_in_db(core: ir.Model, tiny_data: Dataset) -> None:
    found = measure_spread(
        core,
        CONTRACT,
        tiny_data,
        PLAIN,
        1,
        classes=False,
        calibration_samples=20,
        selection_samples=40,
    )
    assert found.accuracy_spread is None
    assert found.fp32_accuracy is None
    assert " SQNR is " in str(found)
    assert " dB" in str(found)


def test_no_other_draw_is_no_spread(core: ir.Model, tiny_data: Dataset) -> None:
    with pytest.raises(InputError, match="0 other draws show no spread"):
        measure_spread(core, CONTRACT, tiny_data, PLAIN, 0, classes=True)


def test_a_split_that_is_too_small_for_other_draws_is_refused(
    core: ir.Model, tiny_data: Dataset
) -> None:
    # 80 images in halves: what calibrates and what is selected on is all there is.
    with pytest.raises(InputError, match=r"too few images for 3 different draws of 40 .* is 1"):
        measure_spread(core, CONTRACT, tiny_data, PLAIN, 2, classes=True)
