"""What is tried: found by the contract of each runtime, and narrowed by wishes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgecnn import bundle as bundles
from edgecnn.errors import BundleError, InputError, UnavailableError
from edgecnn.machine import allowed_cores
from edgecnn.tuning.report import Candidate
from edgecnn.tuning.space import Wishes, cores_here, find_space, neighbours, thread_counts
from tests.conftest import MakeBundle
from tests.tuning.conftest import Wrap


def test_variants_and_threads_on_one_runtime(make_bundle: MakeBundle) -> None:
    space = find_space(make_bundle(), Wishes(runtimes=("ort",)))
    assert space.default == Candidate("fp32", "ort", "cpu", allowed_cores())
    tried = {(each.variant, each.threads) for each in space.engines}
    every = {(name, n) for name in ("fp32", "int8") for n in thread_counts(cores_here())}
    assert tried == every - {("fp32", allowed_cores())}
    assert {each.precision for each in space.engines} == {"fp32"}
    assert "onnxruntime" in space.versions["ort"]


def test_threads_are_powers_of_two_and_all_cores() -> None:
    assert thread_counts(1) == (1,)
    assert thread_counts(4) == (1, 2, 4)
    assert thread_counts(12) == (1, 2, 4, 8, 12)


def test_the_default_stays_whatever_is_wished_for(make_bundle: MakeBundle, wrap: Wrap) -> None:
    twin = str(wrap("twin", "pass"))
    space = find_space(make_bundle(), Wishes((twin,), ("int8",), threads=1))
    assert space.default.name == "fp32 on ort, 1 thread"
    assert [each.name for each in space.engines] == ["int8 on twin, 1 thread"]
    assert space.engines[0].runtime == twin


def test_every_runtime_is_a_candidate_or_left_out_with_a_reason(make_bundle: MakeBundle) -> None:
    from edgecnn.shelves import runtime_names

    space = find_space(make_bundle(), Wishes(threads=1))
    tried = {each.runtime for each in (*space.engines, space.default)}
    left_out = {each.what: each for each in space.left_out}
    assert tried | left_out.keys() == {*runtime_names()} - {"reference"}
    assert left_out["ncnn"].reason == "It reads ncnn, and no variant here is of that format."
    assert left_out["ncnn"].remedy.endswith("--format ncnn")
    assert not left_out["torch"].remedy  # this bundle has no net that it could be made of


def test_a_runtime_that_is_not_here_is_left_out_or_refused(
    make_bundle: MakeBundle, wrap: Wrap
) -> None:
    absent = """
from edgecnn.runtime import Availability

def availability(provider):
    return Availability(False, "It is not installed.", "pip install it")
"""
    bundle, path = make_bundle(), str(wrap("absent", "pass", absent))
    with pytest.raises(UnavailableError, match="It is not installed") as refusal:
        find_space(bundle, Wishes((path,)))
    assert refusal.value.remedy == "pip install it"


def test_most_threads_and_reduced_precision(make_bundle: MakeBundle, wrap: Wrap) -> None:
    single = str(wrap("single", "pass", "MOST_THREADS = 1\n"))
    bundle = make_bundle(variants=("fp32",))
    if allowed_cores() > 1:
        with pytest.raises(InputError, match="It computes on 1 thread") as refusal:
            find_space(bundle, Wishes((single,), threads=2))
        assert refusal.value.remedy == "Use `--threads 1`."
    space = find_space(bundle, Wishes((single,), threads=1, reduced=True))
    assert [each.precision for each in space.engines] == ["fp32", "bf16"]
    assert space.engines[1].given == {"precision": "bf16"}
    space = find_space(bundle, Wishes((single,), threads=1, reduced=True, precision="bf16"))
    assert [each.name for each in space.engines] == ["fp32 on single, 1 thread, in bf16"]


def test_what_is_likely_to_win_comes_first(make_bundle: MakeBundle, wrap: Wrap) -> None:
    twin = str(wrap("twin", "pass"))
    space = find_space(make_bundle(), Wishes((twin, "ort"), threads=1, reduced=True))
    assert [each.name for each in space.engines] == [
        "int8 on ort, 1 thread",
        "int8 on twin, 1 thread",
        "fp32 on twin, 1 thread",
        "int8 on twin, 1 thread, in bf16",
        "fp32 on twin, 1 thread, in bf16",
    ]


def test_batches_and_stale_variants_are_left_out(make_bundle: MakeBundle) -> None:
    fixed = make_bundle("fixed", changes={"int8": {"batch": 2}})
    space = find_space(fixed, Wishes(("ort",), threads=1))
    assert {each.variant for each in space.engines} == set()
    assert (space.left_out[0].what, space.left_out[0].remedy) == ("int8", "--batch-size 2")
    bundle = make_bundle("stale")
    fp32 = replace(bundle.variant("fp32"), settings={"made": "anew"})
    content = bundle.read("fp32.onnx") + b"\x00"
    bundle = bundles.extend(bundle, {"fp32.onnx": content}, fp32)
    space = find_space(bundle, Wishes(("ort",), threads=1))
    assert "is stale" in space.left_out[0].reason
    two = make_bundle("two", variants=("fp32",), changes={"fp32": {"batch": 2}})
    with pytest.raises(BundleError, match="no variant that takes batches of 3"):
        find_space(two, Wishes(("ort",), batch_size=3))


def test_what_there_is_not_is_refused(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    with pytest.raises(BundleError, match="no variant 'int4'"):
        find_space(bundle, Wishes(variants=("int4",)))
    with pytest.raises(InputError, match="no runtime 'nothing'"):
        find_space(bundle, Wishes(("nothing",)))


def test_what_nothing_here_can_do_is_refused(make_bundle: MakeBundle, wrap: Wrap) -> None:
    """The default would race against its own options, and be deployed, as if that were asked."""
    bundle = make_bundle(variants=("fp32",))
    with pytest.raises(UnavailableError, match="'cdua'") as refusal:
        find_space(bundle, Wishes(provider="cdua"))
    assert "--provider cpu" in refusal.value.remedy
    one = (str(wrap("one", "pass")),)
    with pytest.raises(InputError, match="float32 operators in 'bf17'") as typo:
        find_space(bundle, Wishes(one, precision="bf17", reduced=True))
    assert typo.value.remedy == "Use --precision bf16 or fp32."
    cores = allowed_cores()
    with pytest.raises(InputError, match="threads are more than the cores") as many:
        find_space(bundle, Wishes(one, threads=cores + 1))
    assert many.value.remedy == f"Use --threads {cores}."


def test_tuned_options_change_one_at_a_time_each_second_choice_first(wrap: Wrap) -> None:
    path = str(wrap("one", "pass"))
    found = [each.options for each in neighbours(Candidate("fp32", path, "cpu", 1))]
    assert found == [{"nap": "long"}, {"word": "b"}, {"nap": "longer"}]
    given = neighbours(Candidate("fp32", path, "cpu", 1, options={"nap": "long"}))
    assert [each.options for each in given] == [{"nap": "long", "word": "b"}]
    names = {name for each in neighbours(Candidate("x", "ort", "cpu", 1)) for name in each.options}
    assert "arena" in names
    assert "cuda_graph" not in names  # it changes nothing on the CPU
