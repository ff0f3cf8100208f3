"""A bundle that was measured in every way, its page, and a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgecnn.agreement import parity
from edgecnn.benchmark import bench
from edgecnn.bundle import Bundle, ModelRef
from edgecnn.evaluation import evaluate
from edgecnn.recipe import TrainingPlan
from edgecnn.reporting import report
from edgecnn.reports import make_report, write_report
from edgecnn.spec import DataRef, Verdict
from edgecnn.stats import wilson
from edgecnn.training.report import Epoch, TrainReport
from edgecnn.verification import verify

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

HOSTILE = "a <b>name</b> & 'more'"


def keep(kind: str, body: Any, bundle: Bundle, measured: dict[str, str] | None = None) -> Path:
    """Write a report as its command does."""
    return write_report(make_report(kind, body, measured or {}), bundle.folder)


def trained(bundle: Bundle, epochs: int = 8, *, holdout: bool = True) -> TrainReport:
    """Give what a training could have reported."""
    data = bundle.manifest.data
    assert isinstance(data, DataRef)
    shares = [0.9 - 0.6 / epoch for epoch in range(1, epochs + 1)]
    return TrainReport(
        bundle=str(bundle.folder),
        recipe=HOSTILE,
        model=ModelRef("lenet", {}),
        parameters=62_006,
        data=data,
        plan=TrainingPlan(epochs=epochs),
        device="cpu",
        training_images=19_000,
        holdout_images=1_000 if holdout else 0,
        curve=tuple(
            Epoch(number, 2 / number, share, share - 0.02 if holdout else None, 0.1, 2.0, 9000.0)
            for number, share in enumerate(shares, 1)
        ),
        accuracy=wilson(80, 120),
        classes=(),
        required_accuracy=0.85,
        verdict=Verdict("fail", ("66.7 % is below the 85 % that the recipe requires.",)),
        training_cpu_seconds=20.0,
        cpu_seconds=25.0,
    )


@pytest.fixture(scope="session")
def measured(session_bundle: Callable[[str], Bundle]) -> Bundle:
    """Give a bundle with a report of every command, and one that is broken."""
    bundle = session_bundle("measured")
    keep("train", trained(bundle), bundle)
    evaluated = evaluate(bundle, threads=1)
    keep("eval", evaluated, bundle, evaluated.measured)
    agreed = parity(bundle, threads=1)
    keep("parity", agreed, bundle, agreed.measured)
    verified = verify(bundle)
    keep("verify", verified, bundle, verified.measured)
    keep("bench", bench(bundle, threads=1, duration=0.5), bundle)
    (bundle.folder / "reports" / "broken.json").write_text('{"kind": "<i>')
    return bundle


@pytest.fixture(scope="session")
def page(measured: Bundle) -> Path:
    """Give the page of that bundle."""
    return Path(report(measured).path)


@pytest.fixture(scope="session")
def browser() -> Iterator[Chrome]:
    """Give headless Chromium with its network cut off."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no Chromium: `apt-get install chromium chromium-driver` brings it")
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = binary
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"):
        options.add_argument(f"--{flag}")
    options.add_argument("--disable-background-networking")
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    chrome = Chrome(options=options, service=ChromeService(driver))
    yield chrome
    chrome.quit()
