"""The page on CPUs that are not at hand."""

from __future__ import annotations

from dataclasses import replace

from edgecnn.emulation import EmulatedVariant, EmulationReport
from edgecnn.quantization.saturation import SaturatedLayer, SaturationReport
from edgecnn.reporting.material import collect
from edgecnn.reporting.page import Shown, build, render
from edgecnn.reporting.sections import saturation
from edgecnn.spec import Verdict
from tests.conftest import MakeBundle
from tests.reporting.conftest import keep

AUDITED = SaturationReport(
    images=256,
    layers=(
        SaturatedLayer("conv1", 1_000_000, 25_000, 60_000, 50_000, 10_000),
        SaturatedLayer("conv2", 1_000_000, 0, 20_000, 50_000, 0),
    ),
    changed=40,
    flips=3,
    largest_error=1.5,
    here_saturates=False,
    confirmed=256,
    not_replayed=(),
)
EMULATED = EmulationReport(
    bundle="here",
    inputs="golden vectors",
    images=32,
    variants=(
        EmulatedVariant("avx2", "Haswell", "fp32", False, "pass", 0, 0, 0, 1e-6),
        EmulatedVariant("avx2", "Haswell", "int8", True, "fail", 30, 29, 1, 0.25),
        EmulatedVariant("nehalem", "Nehalem", "int8", True, "crashed", problem="It crashed."),
    ),
    measured={},
    verdict=Verdict("fail", ("2 of 32 images are not equal bit for bit.", "It crashed.")),
)


def test_only_layers_that_saturate_are_listed() -> None:
    table = saturation.layers_table(AUDITED)
    assert table.caption == "Layers that saturate; 1 other never did"
    assert table.rows == (("conv1", "1,000,000", "25,000", "2.500 %", "60,000", "20.00 %"),)
    both = replace(AUDITED, layers=(AUDITED.layers[0],) * 2)
    assert saturation.layers_table(both).caption == "Layers that saturate; 0 others never did"


def test_what_another_cpu_answered_stands_on_the_page(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    keep("parity-as-cpu", EMULATED, bundle)
    material = collect(bundle)
    section = saturation.build(material)
    assert section is not None
    assert [each.verdict.outcome for each in section.findings] == ["fail"]
    assert saturation.variants_table(EMULATED).rows == (
        ("fp32", "avx2 (Haswell)", "0 of 32", "0 of 32", "0", "1e-06", "pass"),
        ("int8", "avx2 (Haswell)", "30 of 32", "29 of 32", "1", "0.25", "fail"),
        ("int8", "nehalem (Nehalem)", "", "", "", "", "crashed"),
    )
    text = render(material, build(material), bundle.folder)
    assert "Same answers on other CPUs" in text
    assert "avx2 (Haswell)" in text


def test_the_audit_says_what_it_does_not_prove(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    keep("parity-as-cpu", EMULATED, bundle)
    material = collect(bundle)

    def page(audited: SaturationReport) -> str:
        made = saturation.section(audited, material.newest(EmulationReport), None)
        shown = Shown("saturation", saturation.TITLE, saturation.COMMAND, made)
        return " ".join(render(material, [shown], bundle.folder).split())

    text = page(AUDITED)
    assert "40 answers change there, 3 of them to another class. It proves nothing" in text
    assert "For 256 of 256 images the replay of the CPU" in text
    assert "That CPU does not saturate." in text
    assert "Layers that saturate; 1 other never did" in text
    unlike = replace(
        AUDITED, layers=AUDITED.layers[1:], here_saturates=True, not_replayed=("MatMulInteger",)
    )
    text = page(unlike)
    assert "That CPU saturates, too. Not replayed: MatMulInteger." in text
    assert "Layers that saturate" not in text


def test_without_either_there_is_no_section(make_bundle: MakeBundle) -> None:
    assert saturation.build(collect(make_bundle())) is None
