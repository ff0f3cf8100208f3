from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors import InputError
from edgecnn.importing.contract import (
    Choice,
    Facts,
    as_choice,
    decide,
    difference,
    flags,
    merged,
    shown,
)
from edgecnn.importing.fields import make_choice, read_contract

WEIGHTS = Facts(
    Choice(
        input_size=(224, 224),
        color="rgb",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        resize="crop 256",
        labels=("cat", "dog"),
    ),
    "the weights",
)


def test_the_user_wins_then_the_first_fact_then_what_is_assumed() -> None:
    later = Facts(Choice(filter="bicubic", resize="letterbox"), "the graph")
    decision = decide(Choice(mean=(0.5, 0.5, 0.5)), [WEIGHTS, later])
    contract = decision.contract
    assert (contract.height, contract.width) == (224, 224)
    assert (contract.mean, contract.std) == ((0.5, 0.5, 0.5), (0.229, 0.224, 0.225))
    assert (contract.resize, contract.filter, contract.labels) == (
        "crop 256",
        "bicubic",
        ("cat", "dog"),
    )
    assert decision.sources == {
        "input-size": "the weights",
        "color": "the weights",
        "scale": "assumed",
        "mean": "given",
        "std": "the weights",
        "resize": "the weights",
        "filter": "the graph",
        "layout": "assumed",
        "labels": "the weights",
        "output-kind": "assumed",
        "output-name": "assumed",
    }
    assert decision.lines[0].split() == ["--input-size", "224x224", "the", "weights"]
    assert [line.split()[0] for line in decision.lines] == [f"--{key}" for key in decision.sources]
    assert len({line.index(decision.sources[line.split()[0][2:]]) for line in decision.lines}) == 1


def test_numbers_of_facts_follow_the_colour_and_it_is_said() -> None:
    bgr = decide(Choice(color="bgr"), [WEIGHTS])
    assert bgr.contract.mean == (0.406, 0.456, 0.485)
    assert bgr.sources["mean"] == "the weights, turned round for BGR"
    grey = decide(Choice(color="gray"), [WEIGHTS])
    assert (grey.contract.mean, grey.contract.std) == ((0.449,), (0.226,))
    assert grey.sources["std"] == "the weights, averaged for grey"
    given = decide(Choice(color="bgr", mean=(0.1, 0.2, 0.3)), [WEIGHTS])
    assert given.contract.mean == (0.1, 0.2, 0.3)
    plain = decide(Choice(color="gray", input_size=(8, 8)))
    assert (plain.contract.mean, plain.sources["mean"]) == ((0.0,), "assumed")


def test_a_crop_of_facts_follows_the_size() -> None:
    small = decide(Choice(input_size=(32, 32)), [WEIGHTS])
    assert small.contract.resize == "crop 37"
    assert small.sources["resize"] == "the weights, scaled to 32x32"
    assert decide(Choice(input_size=(299, 200)), [WEIGHTS]).contract.resize == "crop 342"
    with pytest.raises(InputError, match="'crop 30' leaves pictures smaller"):
        decide(Choice(input_size=(32, 32), resize="crop 30"), [WEIGHTS])


def test_labels_of_another_count_are_passed_over_or_refused() -> None:
    decision = decide(Choice(), [WEIGHTS], classes=3)
    assert decision.contract.labels == ()
    assert decision.lines[-1] == (
        "The 2 labels of the weights are passed over: the net has 3 outputs."
    )
    with pytest.raises(InputError, match="1 labels are given, but the net has 3 outputs"):
        decide(Choice(labels=("cat",)), [WEIGHTS], classes=3)


def test_what_contradicts_a_certain_fact_is_refused() -> None:
    graph = Facts(Choice(input_size=(32, 32), layout="nhwc"), "the graph", certain=True)
    assert decide(Choice(layout="nhwc"), [graph]).contract.layout == "nhwc"
    with pytest.raises(
        InputError, match="--input-size 64x64 contradicts the graph: 32x32"
    ) as caught:
        decide(Choice(input_size=(64, 64)), [graph])
    assert caught.value.remedy == "Leave --input-size out."


def test_a_size_is_never_assumed() -> None:
    with pytest.raises(InputError, match="Nothing says the size of the input") as caught:
        decide(Choice())
    assert "--input-size 224x224" in caught.value.remedy


def test_flags_select_what_differs() -> None:
    contract = decide(Choice(), [WEIGHTS]).contract
    other = decide(Choice(color="bgr", scale=1.0, filter="box"), [WEIGHTS]).contract
    changed = difference(contract, other)
    assert flags(changed) == (
        "--color bgr --scale 1 --mean 0.406,0.456,0.485 --std 0.225,0.224,0.229 --filter box"
    )
    assert decide(changed, [WEIGHTS]).contract == other
    assert flags(difference(contract, contract)) == ""
    assert decide(as_choice(contract)).contract == contract


FILE = """
input-size = "224x192"
color = "bgr"
scale = "1/127.5"
mean = [1, 1, 1]
std = "0.5, 0.25, 1"
resize = "crop:256"
filter = "bicubic"
layout = "nhwc"
labels = "names.txt"
output-kind = "probabilities"
output-name = "scores"
"""


def test_a_contract_file_has_the_flags_names_as_keys(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    path = tmp_path / "contract.toml"
    path.write_text(FILE)
    choice = read_contract(path)
    assert choice == Choice(
        input_size=(224, 192),
        color="bgr",
        scale=1 / 127.5,
        mean=(1.0, 1.0, 1.0),
        std=(0.5, 0.25, 1.0),
        resize="crop 256",
        filter="bicubic",
        layout="nhwc",
        labels=("cat", "dog"),
        output_kind="probabilities",
        output="scores",
    )
    assert {line.partition(" =")[0] for line in FILE.split("\n") if line} == set(
        decide(choice).sources
    )


def test_flags_go_before_the_file() -> None:
    flagged = merged(Choice(color="gray"), Choice(color="bgr", scale=1.0))
    assert flagged == Choice(color="gray", scale=1.0)


@pytest.mark.parametrize(
    ("line", "problem", "remedy"),
    [
        ("size = 3", "holds what no contract has: size", "input-size, color, scale"),
        ("input_size = 3", "no contract has: input_size", "input-size"),
        ("input-size = '2x3x4'", "'input-size' in .* is '2x3x4'", "HEIGHTxWIDTH"),
        ("input-size = [1, 2.5]", r"is \[1, 2.5\], which cannot", "224x224"),
        ("color = 'cmyk'", "'color' in .* is 'cmyk'", "rgb, bgr or gray"),
        ("scale = 'x'", "is 'x'", "1/255"),
        ("scale = '1/0'", "is '1/0'", "1/255"),
        ("scale = true", "is True", "1/255"),
        ("mean = ['a']", "is \\['a'\\]", "0.5,0.5,0.5"),
        ("std = nan", "is nan", "0.5,0.5,0.5"),
        ("resize = 3", "is 3", "letterbox"),
        ("labels = [1]", r"is \[1\]", "a list of names"),
        ("labels = 'nothing.txt'", "labels file .*nothing.txt cannot be read", "class name"),
        ("output-kind = 'boxes'", "is 'boxes'", "probabilities or other"),
        ("color = ", "is not TOML", "Mend"),
    ],
)
def test_a_contract_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, line: str, problem: str, remedy: str
) -> None:
    path = tmp_path / "contract.toml"
    path.write_text(line)
    with pytest.raises(InputError, match=problem) as caught:
        read_contract(path)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("input_size", "64", (64, 64)),
        ("input_size", "64X48", (64, 48)),
        ("mean", "1/2,0.25", (0.5, 0.25)),
        ("scale", "1/255", 1 / 255),
        ("resize", "crop 256", "crop 256"),
    ],
)
def test_a_flags_text_is_read(name: str, text: str, value: Any) -> None:
    assert getattr(make_choice({name: text, "std": None}), name) == value


def test_a_flag_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InputError, match="--input-size is 'big', which cannot be read"):
        make_choice({"input_size": "big"})


def test_labels_are_shown_without_what_steers_a_terminal() -> None:
    assert shown(("\x1b[2J", "cat"), "labels") == r"2: '\x1b[2J', cat"


def test_a_colour_that_wins_over_a_file_turns_the_files_mean_round() -> None:
    of_a_file = Choice(color="bgr", mean=(104.0, 117.0, 123.0), std=(1.0, 1.0, 1.0))
    found = merged(Choice(color="rgb"), of_a_file)
    assert (found.mean, found.std) == ((123.0, 117.0, 104.0), (1.0, 1.0, 1.0))
    assert merged(Choice(color="bgr"), of_a_file).mean == of_a_file.mean
    assert merged(Choice(color="rgb", mean=(1.0, 2.0, 3.0)), of_a_file).mean == (1.0, 2.0, 3.0)
    assert merged(Choice(color="gray"), of_a_file).std == (1.0,)
