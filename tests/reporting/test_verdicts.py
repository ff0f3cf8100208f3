"""Every verdict that a report holds stands on the page, and the images behind it."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from PIL import Image

from edgecnn.agreement import parity
from edgecnn.golden import golden as golden_vectors
from edgecnn.machine import this_machine
from edgecnn.records import to_builtins
from edgecnn.reporting import report, words
from edgecnn.reporting.material import collect
from edgecnn.reporting.sections import checks, golden
from edgecnn.reporting.sections._shots import Gallery
from tests.reporting.conftest import keep

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle
    from tests.conftest import MakeBundle

OLDER = Path(__file__).parents[1] / "schemas" / "older"


def put(bundle: Bundle, kind: str, created: str, changes: Mapping[str, Any] | None = None) -> None:
    """Keep an older report with another time and some other fields."""
    content = json.loads((OLDER / f"{kind}-1.json").read_bytes())
    content["created"] = created
    content["body"] |= changes or {}
    folder = bundle.folder / "reports"
    folder.mkdir(exist_ok=True)
    (folder / f"{created[:10]}-{kind}.json").write_text(json.dumps(content))


def outcomes(bundle: Bundle) -> dict[str, str]:
    section = checks.build(collect(bundle))
    assert section is not None
    return {one.subject: one.verdict.outcome for one in section.findings}


def quantized(outcome: str) -> Mapping[str, Any]:
    """Give the body of an older quantization with another verdict."""
    body: dict[str, Any] = json.loads((OLDER / "quantize-1.json").read_bytes())["body"]
    return body | {"verdict": {"outcome": outcome, "reasons": [f"It is a {outcome}."]}}


def test_what_export_found_of_int8_is_a_verdict(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    put(bundle, "export", "2026-01-02T00:00:00.000Z", {"int8": quantized("pass")})
    assert outcomes(bundle) == {"Is int8 worth having?": "pass"}


@pytest.mark.parametrize(("day", "wins"), [("01", "pass"), ("03", "fail")])
def test_the_newest_quantization_counts_whichever_command_made_it(
    make_bundle: MakeBundle, day: str, wins: str
) -> None:
    bundle = make_bundle()
    put(bundle, "export", "2026-01-02T00:00:00.000Z", {"int8": quantized("pass")})
    put(bundle, "quantize", f"2026-01-{day}T00:00:00.000Z", quantized("fail"))
    assert outcomes(bundle)["Is int8 worth having?"] == wins


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [("reproduced", "pass"), ("not reproduced", "fail"), ("another machine", "inconclusive")],
)
def test_a_report_that_was_measured_again_has_a_verdict(
    make_bundle: MakeBundle, outcome: str, verdict: str
) -> None:
    bundle = make_bundle()
    replay = {
        "created": "2025-05-05T00:00:00.000Z",
        "command": "edgecnn bench",
        "machine": to_builtins(this_machine()),
        "outcome": outcome,
        "reasons": ["That is why."],
        "differences": ["python: 3.10 before, 3.11 now"],
        "variants": [],
    }
    put(bundle, "bench", "2026-01-02T00:00:00.000Z", {"replay": replay})
    section = checks.build(collect(bundle))
    assert section is not None
    found = section.findings[-1]
    assert found.verdict.outcome == verdict
    assert found.verdict.reasons == (
        f"Measured before on 2025-05-05: {outcome}",
        "That is why.",
        "python: 3.10 before, 3.11 now",
    )


def test_the_worst_verdict_comes_first_and_they_are_counted(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    put(bundle, "verify", "2026-01-02T00:00:00.000Z")
    put(bundle, "bench", "2026-01-02T00:00:00.000Z")
    put(bundle, "quantize", "2026-01-02T00:00:00.000Z", quantized("fail"))
    text = Path(report(bundle).path).read_text("utf-8")
    head = text[text.index('id="verdicts"') : text.index('id="latency"')]
    marks = re.findall(r'class="mark (\w+)"', head)
    assert marks[:3] == ["fail", "inconclusive", "pass"]  # how many there are of each
    assert marks[3:] == ["fail", "inconclusive", "pass"]
    assert re.findall(r"<span>(\d+) <span", head) == ["1", "1", "1"]


def test_older_reports_still_make_a_page(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    newer = shutil.ignore_patterns("bench-2.json", "eval-2.json")
    shutil.copytree(OLDER, bundle.folder / "reports", ignore=newer)
    found = report(bundle)
    assert found.broken == ()
    assert {"Learning curve", "Classes", "Latency", "Cold start", "Checks"} <= {*found.sections}
    assert "figure-course" not in Path(found.path).read_text("utf-8")  # no one wrote down when


def test_the_images_with_the_largest_errors_are_shown(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    agreed = parity(bundle, threads=1)
    keep("parity", agreed, bundle, agreed.measured)
    section = golden.build(collect(bundle))
    assert section is not None
    galleries = cast(list[Gallery], section.values["galleries"])
    wrong = [one for one in agreed.comparisons if any(image.error for image in one.worst)]
    assert len(galleries) == len(wrong) >= 1
    images = golden_vectors(bundle).images
    for gallery, comparison in zip(galleries, wrong, strict=True):
        for shot, worst in zip(gallery.shots, comparison.worst, strict=True):
            with Image.open(io.BytesIO(base64.b64decode(shot.png))) as picture:
                assert np.array_equal(np.asarray(picture), images[worst.index])
            assert shot.lines[0] == f"error {worst.error:.2g}"


def test_images_that_are_gone_are_not_kept(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    agreed = parity(bundle, threads=1)
    keep("parity", agreed, bundle, agreed.measured)
    (bundle.folder / "golden.npz").unlink()
    assert "not kept" in Path(report(bundle).path).read_text("utf-8")


def test_other_golden_images_than_those_that_were_compared_are_not_shown(
    make_bundle: MakeBundle,
) -> None:
    bundle = make_bundle()
    put(bundle, "parity", "2026-01-02T00:00:00.000Z")  # of another bundle
    section = golden.build(collect(bundle))
    assert section is not None
    galleries = cast(list[Gallery], section.values["galleries"])
    assert {shot.png for gallery in galleries for shot in gallery.shots} == {""}


def test_a_number_stays_on_one_line_with_its_unit() -> None:
    kept = "\N{NO-BREAK SPACE}"
    text = "95 % in 3 µs, 12 kB and 4 images, 5 s, 7 steps"
    assert (
        words.unbroken(text)
        == f"95{kept}% in 3{kept}µs, 12{kept}kB and 4 images, 5{kept}s, 7 steps"
    )
    assert words.unbroken(3) == 3
    assert [words.full_stop(one) for one in ("a", "a.")] == ["a.", "a."]
    assert [words.size(one) for one in (0, 999, 1000)] == ["0 B", "999 B", "1.0 kB"]
