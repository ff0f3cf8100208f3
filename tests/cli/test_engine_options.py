"""`--precision` and `--option`: from the command line to the engine, and into every report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from edgecnn.bundle import Bundle
from edgecnn.spec import Tolerance

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet, TypeCommand

OPTIONS = {"optimization": "basic"}
GIVEN = ("--variant", "fp32", "--threads", 1, "--option", "optimization=basic", "--json")
DOUBLE = ("--variant", "fp32", "--runtime", "reference", "--precision", "float64")


@pytest.fixture
def bundle(make_bundle: MakeBundle) -> Bundle:
    return make_bundle()


@pytest.fixture
def photo(tiny_net: TinyNet, tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(tiny_net.images[0]).save(path)
    return path


def body(text: str) -> Any:
    return json.loads(text)["body"]


def test_every_report_says_what_ran(bundle: Bundle, photo: Path, type_command: TypeCommand) -> None:
    folder, quick = bundle.folder, ("--iterations", 4, "--warmup", 0, "--no-cold-start")
    parts = [
        *body(type_command("parity", folder, *GIVEN).out)["comparisons"],
        *body(type_command("eval", folder, *GIVEN).out)["variants"],
        body(type_command("predict", photo, "--bundle", folder, *GIVEN).out),
        body(type_command("bench", folder, *quick, *GIVEN).out)["setup"],
    ]
    assert len(parts) == 5
    assert all((each["precision"], each["options"]) == ("fp32", OPTIONS) for each in parts)


def test_what_is_not_fp32_is_printed(
    bundle: Bundle, photo: Path, type_command: TypeCommand
) -> None:
    folder = bundle.folder
    assert "fp32 in float64" in type_command("parity", folder, *DOUBLE).out
    assert "reference/cpu in float64" in type_command("eval", folder, *DOUBLE).out
    said = type_command("predict", photo, "--bundle", folder, *DOUBLE).out
    assert "on reference/cpu in float64" in " ".join(said.split())
    quick = ("--iterations", 4, "--warmup", 0, "--no-cold-start", "--threads", 1)
    assert "1 thread, in float64" in type_command("bench", folder, *quick, *DOUBLE).out


def test_bench_replays_with_the_reports_options(bundle: Bundle, type_command: TypeCommand) -> None:
    quick = ("--iterations", 4, "--warmup", 0, "--no-cold-start")
    first = type_command("bench", bundle.folder, *quick, *GIVEN)
    assert body(first.out)["setup"]["options"] == OPTIONS
    (report,) = (bundle.folder / "reports").iterdir()
    again = type_command("bench", "--replay", report, "--json")
    assert body(again.out)["setup"]["options"] == OPTIONS
    with_more = type_command("bench", "--replay", report, "--precision", "fp32")
    assert with_more.code == 2
    assert "leave --precision out" in with_more.err


def test_an_option_of_one_of_several_runtimes(bundle: Bundle, type_command: TypeCommand) -> None:
    several = ("--variant", "fp32", "--runtime", "ort,reference", "--json")
    option = ("--option", "reference:precision=float64")
    found = body(type_command("parity", bundle.folder, *several, *option).out)
    precisions = {each["runtime"]: each["precision"] for each in found["comparisons"]}
    assert precisions == {"ort": "fp32", "reference": "float64"}
    refused = type_command("parity", bundle.folder, *several, "--option", "tract:a=b")
    assert refused.code == 2
    assert "which is not asked to run" in refused.err


def test_equal_bits_are_promised_only_where_the_engine_computes_as_by_itself(
    make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    promise = {"logits": Tolerance(None, 30.0, 0.9, bit_exact=True)}
    folder = make_bundle(changes={"int8": {"tolerances": promise}}).folder

    def gates(*given: str) -> list[str]:
        said = type_command("parity", folder, "--variant", "int8", "--threads", 1, "--json", *given)
        own = [one for one in body(said.out)["comparisons"] if one["against"] == "own golden"]
        return [gate["name"] for one in own for gate in one["gates"]]

    assert gates() == gates("--precision", "fp32") == ["bits"]
    assert gates("--option", "optimization=disable") == ["sqnr", "top1"]


@pytest.mark.parametrize("name", ["bench", "profile", "parity", "eval"])
def test_what_the_runtime_has_not_is_one_sentence(
    bundle: Bundle, type_command: TypeCommand, name: str
) -> None:
    for given in (("--precision", "bf16"), ("--option", "precision=bf16")):
        refused = type_command(name, bundle.folder, *given)
        assert refused.code == 2
        assert "'ort' does not compute float32 operators in 'bf16'" in refused.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--option", "spinning"), "is no NAME=VALUE"),
        (("--option", "=off"), "is no NAME=VALUE"),
        (("--option", "spinning=off", "--option", "spinning=on"), "cannot be both off and on"),
        (("--precision", "fp32", "--option", "precision=tf32"), "cannot be both fp32 and tf32"),
        (("--option", "colour=blue"), "has no option 'colour'"),
        (("--precision", ""), "names nothing"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(
    bundle: Bundle, type_command: TypeCommand, given: tuple[str, ...], said: str
) -> None:
    refused = type_command("eval", bundle.folder, *given)
    assert refused.code == 2
    assert said in " ".join(refused.err.split())
