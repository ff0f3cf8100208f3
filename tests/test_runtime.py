"""What edgecnn does for every runtime: find it, and hold it to its word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn import machine
from edgecnn.errors import InputError, RuntimeCrashed, UnavailableError
from edgecnn.runtime import (
    CheckedSession,
    load_runtime,
    normalise_provider,
    open_session,
    plain_file,
)
from edgecnn.spec import TensorSpec, Variant

LIAR = """
from edgecnn.runtime import Availability

NAME, FORMATS, PROVIDERS = "liar", frozenset({"onnx"}), ("abacus",)
asked = []

class Session:
    provider, inputs, outputs = "cpu", (), ()

    def close(self):
        asked.append("closed")

def availability(provider):
    return Availability(ok=True)

def open_session(variant, *, provider, threads, options):
    asked.append((provider, threads, options))
    return Session()
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    (tmp_path / "runtime.py").write_text(LIAR)
    return tmp_path


@pytest.fixture
def variant(tmp_path: Path) -> Variant:
    path = tmp_path / "model.onnx"
    path.touch()
    return plain_file(str(path))


def test_what_runs_elsewhere_is_refused(runtime: Path, variant: Variant) -> None:
    with pytest.raises(UnavailableError, match=r"'abacus' was asked .* on 'cpu'") as refusal:
        open_session(variant, runtime=str(runtime))
    assert refusal.value.exit_code == 3
    asked = load_runtime(str(runtime)).asked  # type: ignore[attr-defined]
    assert asked == [("abacus", machine.allowed_cores(), {}), "closed"]


def test_what_was_asked_reaches_the_runtime(runtime: Path, variant: Variant) -> None:
    asked = {"threads": 3, "options": {"mood": "calm"}}
    with open_session(variant, runtime=str(runtime), provider="CPU", **asked) as session:  # type: ignore[arg-type]
        assert (session.runtime, session.provider, session.threads) == ("liar", "cpu", 3)
    seen = load_runtime(str(runtime)).asked  # type: ignore[attr-defined]
    assert seen == [("cpu", 3, {"mood": "calm"}), "closed"]


def test_unknown_runtime_is_refused() -> None:
    with pytest.raises(InputError, match=r"no runtime 'abacus'.* ort, reference"):
        load_runtime("abacus")


def test_half_a_runtime_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runtime.py").write_text("NAME = 'half'\n")
    with pytest.raises(InputError, match="has no FORMATS, PROVIDERS, availability, open_session"):
        load_runtime(str(tmp_path))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*model\.onnx"):
        plain_file(str(tmp_path / "model.onnx"))


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("cpu", "cpu"),
        ("CUDA", "cuda"),
        ("CUDAExecutionProvider", "cuda"),
        ("cudaexecutionprovider", "cuda"),
        ("TensorrtExecutionProvider", "tensorrt"),
        ("trt", "tensorrt"),
        ("DmlExecutionProvider", "directml"),
        ("OpenVINOExecutionProvider", "openvino"),
    ],
)
def test_providers_have_short_names(name: str, short: str) -> None:
    assert normalise_provider(name) == short


@pytest.mark.parametrize(
    ("sound", "broken"),
    [
        ("return Availability(ok=True)", "raise ImportError('no engine')"),
        ("return Availability(ok=True)", "return None"),
        ("return Session()", "raise ValueError('no kernel')"),
        ("return Session()", "return None"),
        ("return Session()", "raise SystemExit(0)"),
    ],
)
def test_a_runtime_that_fails_is_not_edgecnns_fault(
    tmp_path: Path, variant: Variant, sound: str, broken: str
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/runtime.py").write_text(LIAR.replace(sound, broken))
    with pytest.raises(
        RuntimeCrashed, match=r"The runtime 'liar' failed: (\w+Error|SystemExit): .*--runtime"
    ):
        open_session(variant, runtime=str(tmp_path / "broken"))


def test_a_session_that_fails_is_not_edgecnns_fault() -> None:
    class Failing:
        provider = "cpu"
        inputs: tuple[TensorSpec, ...] = ()
        outputs: tuple[TensorSpec, ...] = ()

        def run(self, inputs: object) -> dict[str, Any]:
            raise ValueError("no kernel")

        def prepare(self, inputs: object) -> Callable[[], object]:
            raise ValueError("no kernel")

        def close(self) -> None:
            pass

    session = CheckedSession(Failing(), "mine", 1)
    for call in (session.run, session.prepare):
        with pytest.raises(
            RuntimeCrashed, match="The runtime 'mine' failed: ValueError: no kernel"
        ):
            call({})


def test_what_a_runtime_prints_on_import_stays_off_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runtime.py").write_text(f"{LIAR}\nprint('a banner')\n")
    load_runtime(str(tmp_path))
    assert capsys.readouterr() == ("", "a banner\n")
