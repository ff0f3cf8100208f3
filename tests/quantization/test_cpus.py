"""CPUs by name, and this one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgecnn.errors import InputError, UnavailableError
from edgecnn.machine import Machine, this_machine
from edgecnn.quantization.cpus import CPUS, find_cpu, names_of, parse_cpus, this_cpu
from edgecnn.quantization.schemes import SCHEMES


def machine(architecture: str, *features: str) -> Machine:
    return replace(this_machine(), architecture=architecture, features=features)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("avx2", "avx2"), ("Haswell", "avx2"), (" zen4 ", "vnni"), ("AVX512_VNNI", "vnni")],
)
def test_a_cpu_has_aliases_in_any_case(name: str, expected: str) -> None:
    assert find_cpu(name).name == expected


def test_no_two_cpus_share_a_name_and_each_has_a_scheme_and_a_source() -> None:
    names = [name for cpu in CPUS for name in (cpu.name, *cpu.aliases)]
    assert len(names) == len(set(names))
    assert all(cpu.fast in SCHEMES and cpu.source for cpu in CPUS)


def test_a_fleet_is_read_in_its_order_and_each_cpu_once() -> None:
    assert [cpu.name for cpu in parse_cpus("vnni, avx2,haswell")] == ["vnni", "avx2"]
    assert parse_cpus("any") == CPUS == parse_cpus("ANY,arm64")
    assert parse_cpus("auto") == (this_cpu(),)


@pytest.mark.parametrize(
    ("text", "said"), [("avx2,itanium", "No CPU is called 'itanium'"), (" , ", "names no CPU")]
)
def test_what_is_no_cpu_is_refused_with_those_there_are(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse_cpus(text)
    assert "arm64" in caught.value.remedy


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (machine("x86_64", "SSE4.2"), "nehalem"),
        (machine("x86_64", "SSE4.2", "AVX"), "avx"),
        (machine("AMD64", "SSE4.2", "AVX", "AVX2"), "avx2"),
        (machine("x86_64", "AVX", "AVX2", "AVX-512"), "avx512"),
        (machine("x86_64", "AVX", "AVX2", "AVX-VNNI"), "vnni"),
        (machine("x86_64", "AVX2", "AVX-512", "AVX512-VNNI", "AMX", "AMX-INT8"), "amx"),
        (machine("aarch64", "NEON"), "arm64"),
        (machine("aarch64", "NEON", "NEON dot product"), "arm64-dot"),
        (machine("arm64"), "arm64"),
    ],
)
def test_a_machine_is_known_by_its_best_instructions(found: Machine, expected: str) -> None:
    assert this_cpu(found).name == expected


@pytest.mark.parametrize("found", [machine("x86_64"), machine("riscv64")])
def test_a_machine_that_says_nothing_is_not_guessed(found: Machine) -> None:
    with pytest.raises(UnavailableError, match="does not say") as caught:
        this_cpu(found)
    assert "--cpu" in caught.value.remedy


def test_cpus_are_named_in_a_sentence() -> None:
    assert names_of(parse_cpus("avx2")) == "avx2"
    assert names_of(parse_cpus("avx2,vnni,arm64")) == "avx2, vnni and arm64"
