"""A runtime's own options, and above all what float32 operators compute in."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors import InputError, UnavailableError
from edgecnn.options import engine_name, own_options, refuse_strangers
from edgecnn.runtime import load_runtime, open_session, plain_file
from edgecnn.spec import Variant
from edgecnn.worker import open_in_worker

ROUNDING = """
from edgecnn.runtime import Availability

NAME, FORMATS, PROVIDERS = "rounding", frozenset({"onnx"}), ("cpu",)
OPTIONS = {"precision": ("fp32", "bf16", "fp16")}
closed = []

class Session:
    provider, inputs, outputs, precision = "cpu", (), (), "bf16"

    def close(self):
        closed.append(self.precision)

def availability(provider):
    return Availability(ok=True)

def open_session(variant, *, provider, threads, options):
    return Session()
"""


@pytest.fixture
def runtime(tmp_path: Path) -> str:
    (tmp_path / "runtime.py").write_text(ROUNDING)
    return str(tmp_path)


@pytest.fixture
def variant(tmp_path: Path) -> Variant:
    path = tmp_path / "model.onnx"
    path.touch()
    return plain_file(str(path))


@pytest.mark.parametrize("asked", [None, "fp32", "fp16"])
def test_what_computes_in_less_than_was_asked_is_refused(
    runtime: str, variant: Variant, asked: str | None
) -> None:
    options = None if asked is None else {"precision": asked}
    with pytest.raises(UnavailableError, match=f"'{asked or 'fp32'}', but .* 'bf16'") as refusal:
        open_session(variant, runtime=runtime, options=options)
    assert refusal.value.exit_code == 3
    assert "--precision bf16" in refusal.value.remedy
    assert load_runtime(runtime).closed == ["bf16"]  # type: ignore[attr-defined]


def test_what_was_asked_is_told(runtime: str, variant: Variant) -> None:
    options = {"precision": "bf16"}
    with open_session(variant, runtime=runtime, options=options) as session:
        assert (session.precision, session.options) == ("bf16", options)
    with open_in_worker(variant, runtime=runtime, options=options) as session:
        assert (session.precision, session.options) == ("bf16", options)


def test_a_runtime_without_a_choice_takes_fp32_alone(variant: Variant, tmp_path: Path) -> None:
    text = ROUNDING.replace('{"precision": ("fp32", "bf16", "fp16")}', "{}")
    folder = tmp_path / "plain"
    folder.mkdir()
    text = text.replace('precision = "cpu", (), (), "bf16"', 'precision = "cpu", (), (), "fp32"')
    text = text.replace("    return Session()", "    assert not options\n    return Session()")
    (folder / "runtime.py").write_text(text)
    with open_session(variant, runtime=str(folder), options={"precision": "fp32"}) as session:
        assert session.precision == "fp32"
    with pytest.raises(InputError, match=r"'bf16'.*Use --precision fp32\.") as refusal:
        open_session(variant, runtime=str(folder), options={"precision": "bf16"})
    assert refusal.value.exit_code == 2


def test_options_of_one_runtime_go_before_those_of_all() -> None:
    given = {"precision": "fp32", "openvino:precision": "bf16", "ort:spinning": "off"}
    assert own_options("openvino", given) == {"precision": "bf16"}
    assert own_options("ort", given) == {"precision": "fp32", "spinning": "off"}
    assert own_options("ort", None) == {}
    refuse_strangers(["ort", "openvino"], given)
    with pytest.raises(InputError, match=r"'openvino:precision' is for .*`ort:NAME=VALUE`"):
        refuse_strangers(["ort"], given)


def test_names_say_how_only_where_it_is_to_be_known() -> None:
    assert engine_name("ort", "cpu", "fp32", {"precision": "fp32"}) == "ort/cpu"
    assert engine_name("ort", "cpu", "fp32", {"spinning": "off"}) == "ort/cpu, spinning=off"
    both = {"precision": "bf16", "shape": "dynamic"}
    assert engine_name("openvino", "cpu", "bf16", both) == "openvino/cpu in bf16, shape=dynamic"
