"""Nets that come without data: drawn images stand in, and everything says so."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from edgecnn.agreement import parity
from edgecnn.bundle import GOLDEN, Bundle, open_bundle
from edgecnn.data import Dataset, stand_in_images
from edgecnn.errors import DataError
from edgecnn.exporting import export
from edgecnn.golden import UNLABELLED, golden
from edgecnn.quantization import quantize
from tests.conftest import TypeCommand
from tests.exporting.conftest import CONTRACT, MakeNet, contents


def test_stand_ins_are_marked_wherever_they_are_used(
    make_net: MakeNet, type_command: TypeCommand
) -> None:
    bundle = make_net(data=False)
    done = type_command("export", bundle.folder)
    assert done.code == 0
    assert "no data of its own" in done.err
    assert "--data" in done.err
    assert "on 32 stand-in images" in done.out
    after = open_bundle(bundle.folder)
    vectors = golden(after)
    assert vectors.stand_in
    assert set(vectors.labels.tolist()) == {UNLABELLED}
    np.testing.assert_array_equal(vectors.images, stand_in_images(CONTRACT, 32))
    assert "stand-in" in after.variant("fp32").settings["golden"]
    assert "stand-in" in parity(after).inputs
    shown = type_command("bench", bundle.folder, "--json", "--duration", 0.05, "--no-cold-start")
    assert "stand-in" in json.dumps(json.loads(shown.out)["body"]["setup"])


@pytest.mark.parametrize("first", [True, False], ids=["at once", "after fp32"])
def test_int8_is_refused_with_the_flag_that_brings_data(
    make_net: MakeNet, type_command: TypeCommand, first: bool
) -> None:
    bundle = make_net(data=False)
    if not first:
        export(bundle)
    before = contents(bundle.folder)
    commands: list[Callable[[], object]] = [lambda: export(bundle, quantize=True)]
    if not first:
        commands.append(lambda: quantize(bundle.folder))
    for command in commands:
        with pytest.raises(DataError, match="no data of its own") as caught:
            command()
        assert "--data" in caught.value.remedy
    assert contents(bundle.folder) == before
    assert type_command("export", bundle.folder, "--quantize").code == 2


def test_data_that_is_named_gives_real_golden_images(make_net: MakeNet, pictures: Dataset) -> None:
    bundle = make_net(data=False)
    report = export(bundle, data=pictures)
    assert not report.stand_in
    assert not golden(open_bundle(bundle.folder)).stand_in


def test_stand_ins_stay_and_that_is_said_when_int8_is_measured_on_them(
    make_net: MakeNet, pictures: Dataset
) -> None:
    bundle = make_net(data=False)
    export(bundle)
    notes: list[str] = []
    before = contents(bundle.folder)[GOLDEN]
    export(bundle.folder, quantize=True, data=pictures, duration=0.05, note=notes.append)
    assert contents(bundle.folder)[GOLDEN] == before
    assert any("stand-in" in text for text in notes)
    after: Bundle = open_bundle(bundle.folder)
    assert "stand-in" in after.variant("int8").settings["golden"]
    assert parity(after).verdict.outcome == "pass"
