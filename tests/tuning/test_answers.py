"""Nothing that answers wrong may race, and nothing may win that is not shown to be right."""

from __future__ import annotations

from edgecnn.bundle_data import bundle_data
from edgecnn.tuning.answers import Answers, selection
from edgecnn.tuning.report import Candidate
from tests.conftest import MakeBundle

DEFAULT = Candidate("fp32", "ort", "cpu", 1)
INT8 = Candidate("int8", "ort", "cpu", 1)


def test_answers_are_held_against_the_golden_vectors(
    make_bundle: MakeBundle, wrong_net: bytes
) -> None:
    good = Answers(make_bundle(), DEFAULT, 1)
    assert good.pick(INT8).right is True
    assert good.confirm(INT8) is good.checks[0]
    bad = Answers(make_bundle("bad", files={"int8": wrong_net}), DEFAULT, 1)
    check = bad.pick(INT8)
    assert check.right is False
    assert "int8" in check.reasons[0]


def test_a_loss_that_is_allowed_is_picked_on_other_images_than_it_is_confirmed_on(
    make_bundle: MakeBundle, wrong_net: bytes
) -> None:
    bundle = make_bundle(files={"int8": wrong_net})
    data = bundle_data(bundle)
    answers = Answers(bundle, DEFAULT, 1, 0.05, data)
    check = answers.pick(INT8)
    assert (check.right, check.against) == (False, "fp32 on ort, 1 thread on 80 training images")
    assert check.drop is not None
    assert check.drop.low > 0.05
    final = answers.confirm(INT8)
    assert final.against.endswith("120 test images")
    # fp32 in fp32 changes no answer: it is held against the golden vectors all the same.
    assert answers.pick(DEFAULT).against == "golden vectors"


def test_too_few_images_let_race_but_not_win(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    data = bundle_data(bundle)
    strict = Answers(bundle, DEFAULT, 1, 0.0001, data)
    assert strict.pick(INT8).right is None
    assert strict.confirm(INT8).right is None
    assert Answers(bundle, DEFAULT, 1, 0.2, data).confirm(INT8).right is True


def test_the_images_that_pick_are_never_those_of_the_test(make_bundle: MakeBundle) -> None:
    data = bundle_data(make_bundle())
    picked = selection(data)
    assert len(picked) == 80
    assert not set(picked.content_keys.tolist()) & set(data.test.content_keys.tolist())
