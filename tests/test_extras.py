"""Optional packages: refused by name where they are missing, and kept quiet."""

from __future__ import annotations

import logging
import sys
import warnings

import pytest

from edgecnn.errors import UnavailableError
from edgecnn.extras import quietly, require


def test_what_is_missing_is_named_with_the_extras_that_bring_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("torch", "onnx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UnavailableError) as caught:
        require("`edgecnn export`", "click", "torch", "onnx")
    assert caught.value.problem == "`edgecnn export` needs torch, onnx, which are not installed."
    assert caught.value.remedy == "Install them with `pip install 'edgecnn[onnx,train]'`."


def test_what_no_extra_brings_is_installed_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "timm"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UnavailableError) as caught:
        require("--model timm:resnet18", "torch", "timm")
    assert caught.value.remedy == "Install them with `pip install 'edgecnn[train]' timm`."
    with pytest.raises(UnavailableError) as caught:
        require("--model timm:resnet18", "timm")
    assert caught.value.remedy == "Install it with `pip install timm`."


def test_what_is_there_is_not_missed() -> None:
    require("This test", "pytest", "click")


def test_prints_warnings_and_logs_are_kept_back(capfd: pytest.CaptureFixture[str]) -> None:
    loud = logging.StreamHandler(sys.stderr)
    logger = logging.getLogger("edgecnn.tests.loud")
    logger.addHandler(loud)
    handlers = logging.root.handlers[:]
    try:
        with quietly():
            print("printed")
            print("printed", file=sys.stderr)
            warnings.warn("warned", stacklevel=1)
            logger.error("logged")
            logging.root.addHandler(logging.NullHandler())
        assert capfd.readouterr() == ("", "")
        assert logging.root.handlers == handlers
        logger.error("logged afterwards")
        assert "logged afterwards" in capfd.readouterr().err
    finally:
        logger.removeHandler(loud)


def test_errors_come_through_and_leave_nothing_changed() -> None:
    with pytest.raises(ZeroDivisionError), quietly():
        _ = 1 / 0
    assert logging.root.manager.disable == logging.NOTSET
