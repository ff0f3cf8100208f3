"""The deployment: used where nobody says how to run, dropped as one, and never silently wrong."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn import bundle as bundles
from edgecnn.benchmark import bench
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.deployment import deploy, digests, how_to_run
from edgecnn.errors import BundleError
from edgecnn.evaluation import evaluate
from edgecnn.machine import allowed_cores, this_machine
from edgecnn.manifest import Deployment
from edgecnn.prediction import predict
from edgecnn.predictor import load
from edgecnn.profiling.run import how_to_profile
from edgecnn.records import sha256
from tests.conftest import MakeBundle, TinyNet, TypeCommand

TUNED = "2026-11-28T12:00:00.000+00:00"


def deployment(bundle: Bundle, **changes: object) -> Deployment:
    """Int8 on ONNX Runtime with one thread and an option, as if tuned here."""
    found = Deployment(
        variant="int8",
        runtime="ort",
        provider="cpu",
        threads=1,
        options={"arena": "off"},
        precision="fp32",
        batch_size=1,
        cpu=this_machine().cpu,
        tuned=TUNED,
        measured=dict(digests(bundle, "int8")),
        report="x.json",
        report_sha256="0" * 64,
        versions={"onnxruntime": "1"},
    )
    return replace(found, **changes)  # type: ignore[arg-type]


@pytest.fixture
def deployed(make_bundle: MakeBundle) -> Bundle:
    """A bundle that is deployed as int8."""
    bundle = make_bundle()
    return deploy(bundle, deployment(bundle))


@pytest.fixture
def picture(tiny_net: TinyNet, tmp_path: Path) -> Path:
    """One picture that a tiny bundle takes."""
    path = tmp_path / "one.png"
    Image.fromarray(tiny_net.images[0]).save(path)
    return path


def test_it_is_used_where_nothing_is_said(deployed: Bundle) -> None:
    assert open_bundle(deployed.folder).manifest.deployment == deployment(deployed)
    how = how_to_run(deployed)
    assert (how.variant, how.runtime, how.threads, how.batch_size) == ("int8", "ort", 1, 1)
    assert (how.deployed, how.doubt) == (True, False)
    assert how.note == "Using int8 on ort, 1 thread, arena=off, as tuned on 2026-11-28."
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with load(deployed) as predictor:
            assert predictor.variant.name == "int8"
            assert predictor.session.options == {"arena": "off"}


@pytest.mark.parametrize(
    ("said", "flag"),
    [
        ({"variant": "fp32"}, "--variant"),
        ({"runtime": "ort"}, "--runtime"),
        ({"provider": "cpu"}, "--provider"),
        ({"threads": 2}, "--threads"),
        ({"options": {"spinning": "off"}}, "--option or --precision"),
        ({"batch_size": 4}, "--batch-size"),
        ({"runtime": "ort", "threads": 1}, "--runtime and --threads"),
    ],
)
def test_whatever_is_said_drops_all_of_it(
    deployed: Bundle, said: dict[str, object], flag: str
) -> None:
    how = how_to_run(deployed, **said)  # type: ignore[arg-type]
    assert not how.deployed
    were = "were" if " and " in flag else "was"
    assert how.note == f"Not as tuned (int8 on ort, 1 thread, arena=off), as {flag} {were} given."
    plain = {"variant": None, "runtime": "ort", "provider": None, "threads": None}
    plain |= {"options": None, "batch_size": None}
    for name, value in (plain | said).items():
        assert getattr(how, name) == value
    assert load(deployed, **said).variant.name == "fp32"  # type: ignore[arg-type]


def test_the_batch_that_it_was_tuned_for_may_be_said(deployed: Bundle) -> None:
    assert how_to_run(deployed, batch_size=1).deployed
    deploy(deployed, None)
    assert how_to_run(open_bundle(deployed.folder)).note == ""


def test_a_stale_one_is_said_and_not_used(deployed: Bundle) -> None:
    content = deployed.read("int8.onnx") + b"\x00"
    changed = bundles.extend(deployed, {"int8.onnx": content}, deployed.variant("int8"))
    how = how_to_run(changed)
    assert (how.deployed, how.doubt, how.variant) == (False, True, None)
    assert how.note == (
        f"The deployment of {changed.folder} is stale: 'int8' changed after it was tuned. "
        f"Tune again with `edgecnn tune {changed.folder}`."
    )
    with pytest.warns(UserWarning, match="is stale"), load(changed) as predictor:
        assert predictor.variant.name == "fp32"
    with pytest.raises(BundleError, match="was changed by another process while it was tuned"):
        deploy(deployed, deployment(deployed))


def test_on_another_cpu_it_is_used_and_said(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    bundle = deploy(bundle, deployment(bundle, cpu="Cortex-A76"))
    how = how_to_run(bundle)
    assert (how.deployed, how.doubt) == (True, True)
    assert how.note.endswith(
        f"on another machine (Cortex-A76, while this is {this_machine().cpu})."
    )
    with pytest.warns(UserWarning, match="tuned on 2026-11-28 on another machine"):
        load(bundle).close()


def test_more_threads_than_may_be_used_here_are_doubted(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    how = how_to_run(deploy(bundle, deployment(bundle, threads=allowed_cores() + 1)))
    assert (how.deployed, how.doubt) == (True, True)
    assert f"more cores than the {allowed_cores()} that may be used here" in how.note


def test_every_function_runs_it(deployed: Bundle, picture: Path) -> None:
    found = predict(deployed, picture)
    assert (found.variant, found.options) == ("int8", {"arena": "off"})
    list(found.images)
    judged = evaluate(deployed)
    assert [(each.name, each.options) for each in judged.variants] == [
        ("fp32", {"arena": "off"}),
        ("int8", {"arena": "off"}),
    ]
    timed = bench(deployed, iterations=4, warmup=1)
    assert (timed.setup.threads, timed.setup.options) == (1, {"arena": "off"})
    assert [row.variant for row in timed.variants] == ["fp32", "int8"]


def test_profile_says_so_where_the_engine_times_no_operators(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    how = how_to_profile(how_to_run(deploy(bundle, deployment(bundle))))
    assert how.options == {"arena": "off"}
    how = how_to_profile(how_to_run(deploy(bundle, deployment(bundle, runtime="reference"))))
    assert (how.deployed, how.runtime) == (False, "ort")
    assert how.note == ("Profiled on ort, not as deployed: reference does not time its operators.")


def test_commands_say_it_in_one_line(
    deployed: Bundle, picture: Path, type_command: TypeCommand
) -> None:
    line = "Using int8 on ort, 1 thread, arena=off, as tuned on 2026-11-28."
    done = type_command("predict", picture, "--bundle", deployed.folder, "--json")
    assert json.loads(done.out)["body"]["variant"] == "int8"
    assert done.err.splitlines() == [line]
    done = type_command("predict", picture, "--bundle", deployed.folder, "--variant", "fp32")
    assert "fp32 of" in done.out
    assert "Not as tuned" in done.err
    done = type_command("eval", deployed.folder)
    assert line in " ".join(done.err.split())
    file = deployed.folder / "fp32.onnx"
    done = type_command("bench", file, "--iterations", "2", "--warmup", "0")
    assert "tuned" not in done.err


def test_a_manifest_without_one_is_still_read(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    path = bundle.folder / bundles.MANIFEST
    data = json.loads(path.read_bytes()) | {"digest": "0" * 64, "schema_version": 2}
    del data["deployment"]
    text = json.dumps(data, indent=2).encode()
    path.write_bytes(text.replace(b"0" * 64, sha256(text).encode()))
    older = open_bundle(bundle.folder)
    assert older.manifest.deployment is None
    newer = deploy(older, deployment(older))
    assert newer.manifest.schema_version == 3
    assert newer.manifest.deployment == deployment(older)


def test_answers_are_those_of_the_variant(deployed: Bundle, tiny_net: TinyNet) -> None:
    with load(deployed) as tuned, load(deployed, variant="int8") as named:
        answers = tuned.run(tiny_net.images[:3])
        assert np.allclose(answers, named.run(tiny_net.images[:3]), atol=1e-5)
