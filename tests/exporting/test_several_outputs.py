"""Nets that answer several things at once."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from edgecnn.agreement import parity
from edgecnn.bundle import open_bundle
from edgecnn.data import Dataset
from edgecnn.errors import ModelError
from edgecnn.exporting import export
from edgecnn.golden import expected, golden
from edgecnn.predictor import load
from tests.conftest import TypeCommand
from tests.exporting.conftest import CONTRACT, MakeNet

HEADS = "y = x.mean((2, 3)); return {'boxes': x[:, :4], 'scores': self.fc(y), 'mean': y}"
PAIR = "return self.fc(x.mean((2, 3))), self.fc(x.amax((2, 3)))"
DEEP = "return [self.fc(x.mean((2, 3))), (x, {'best': x.mean((2, 3)).argmax(1)}, None)]"


def test_every_output_is_proved_and_kept_by_its_name(make_net: MakeNet, pictures: Dataset) -> None:
    bundle = make_net(HEADS, contract=replace(CONTRACT, output="scores"))
    report = export(bundle, data=pictures)
    after = open_bundle(bundle.folder)
    variant, names = after.variant("fp32"), ["boxes", "scores", "mean"]
    assert list(report.proof.outputs) == list(variant.tolerances) == names
    assert list(golden(after).outputs) == list(expected(after, variant).outputs) == names
    assert golden(after).outputs["boxes"].shape == (32, 4, 8, 8)
    with load(after) as predictor:
        assert [spec.name for spec in predictor.session.outputs] == names
        assert predictor.run(pictures.test.images).shape == (40, 4)
    report_of = parity(after)
    assert {each.output for each in report_of.comparisons} == set(names)
    assert report_of.verdict.outcome == "pass"


@pytest.mark.parametrize(
    ("forward", "names"),
    [(PAIR, ["output_0", "output_1"]), (DEEP, ["output_0", "output_1.0", "output_1.1.best"])],
    ids=["pair", "deep"],
)
def test_tuples_and_what_lies_in_them_get_names(
    make_net: MakeNet, pictures: Dataset, forward: str, names: list[str]
) -> None:
    bundle = make_net(forward)
    assert list(export(bundle, data=pictures).proof.outputs) == names
    with load(bundle.folder) as predictor:
        outputs = predictor.run_all(pictures.test.images)
        np.testing.assert_array_equal(predictor.run(pictures.test.images), outputs["output_0"])
    assert list(outputs) == names


def test_one_wrong_output_of_several_is_enough(make_net: MakeNet, pictures: Dataset) -> None:
    lies = "y = self.fc(x.mean((2, 3))); return y, y + torch.compiler.is_exporting()"
    bundle = make_net(lies)
    with pytest.raises(ModelError, match=r"output 'output_1' differs by 1"):
        export(bundle, data=pictures)


def test_the_command_shows_each_output(make_net: MakeNet, type_command: TypeCommand) -> None:
    bundle = make_net(HEADS, data=False)
    done = type_command("export", bundle.folder, "--json")
    assert done.code == 0
    assert list(json.loads(done.out)["body"]["proof"]["outputs"]) == ["boxes", "scores", "mean"]
    shown = type_command("export", bundle.folder)
    assert "'boxes' largest error" in shown.out
    assert "'mean' largest error" in shown.out
