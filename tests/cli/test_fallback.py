"""`--fallback` and `--min-coverage`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet, TypeCommand


def test_fallback_stands_in_what_is_predicted(
    make_bundle: MakeBundle, tiny_net: TinyNet, tmp_path: Path, type_command: TypeCommand
) -> None:
    picture = tmp_path / "picture.png"
    Image.fromarray(tiny_net.images[0]).save(picture)
    arguments = ("predict", picture, "--bundle", make_bundle().folder, "--json")
    for said, options in ((("--fallback",), {"fallback": "on"}), (("--no-fallback",), {})):
        done = type_command(*arguments, *said)
        assert done.code == 0, done.err
        assert json.loads(done.out)["body"]["options"] == options


def test_fallback_is_for_the_runtimes_that_can(
    make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    folder = make_bundle(variants=("fp32",)).folder
    done = type_command("parity", folder, "--runtime", "ort,reference", "--fallback", "--json")
    assert done.code == 0, done.err
    comparisons = json.loads(done.out)["body"]["comparisons"]
    found = {each["runtime"]: each["options"] for each in comparisons}
    assert found == {"ort": {"fallback": "on"}, "reference": {}}


def test_a_runtime_that_cannot_refuses_it(
    make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    done = type_command("eval", make_bundle().folder, "--runtime", "reference", "--fallback")
    assert done.code == 2
    assert "'reference' has no option 'fallback'" in " ".join(done.err.split())


@pytest.mark.parametrize("share", ["0%", "101%", "+5%", "5ms", "much"])
def test_a_share_that_is_none_is_refused(
    make_bundle: MakeBundle, type_command: TypeCommand, share: str
) -> None:
    done = type_command("bench", make_bundle().folder, "--min-coverage", share)
    assert done.code == 2
    assert "--min-coverage" in done.err


def test_a_runtime_that_does_not_tell_is_refused(
    make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    folder = make_bundle(variants=("fp32",)).folder
    done = type_command("bench", folder, "--runtime", "reference", "--min-coverage", "95%")
    assert done.code == 2
    assert "'reference' has no option 'fallback'" in " ".join(done.err.split())
