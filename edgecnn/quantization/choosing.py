"""Which scheme a net is quantized to, for the CPUs that it will meet."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.quantization.cpus import CPUS, Cpu, Fleet, names_of
from edgecnn.quantization.schemes import SAFE, SCHEMES, Scheme

# What ONNX Runtime makes of the schemes that it is not the fastest with; timed on residual nets,
# on Intel and AMD with VNNI.
_SLOWER = {
    "s8s8": (
        "It is the form that TensorRT and NPUs ask for; on x86 ONNX Runtime leaves Relu, and often "
        "the convolution before it, in float, and takes 1.4 to 1.6 times fp32's time on residual "
        "nets"
    ),
    "u8u8": (
        "ONNX Runtime has no VNNI kernel for it, and takes 1.2 to 1.4 times fp32's time on "
        "residual nets"
    ),
}


@dataclass(frozen=True)
class Choice:
    """A scheme, and what speaks for it and against it.

    Attributes:
        fleet: Names of the CPUs that it is for.
        scheme: The scheme.
        reason: Why it was taken and what it costs, in sentences.
        at_risk: Names of those CPUs on which products of bytes may saturate, so that they may give
            other answers than the rest.
    """

    fleet: tuple[str, ...]
    scheme: Scheme
    reason: str
    at_risk: tuple[str, ...]


def choose_scheme(fleet: Fleet = CPUS, scheme: Scheme | None = None) -> Choice:
    """Choose the fastest scheme that gives the same answers on all of a fleet.

    Args:
        fleet: The CPUs that the net will meet; all there are by default.
        scheme: The scheme that the user named; it is taken, and its risk and cost are said.
    """
    chosen = scheme or default_scheme(fleet)
    risky = [] if _is_safe(chosen) else [cpu for cpu in fleet if not cpu.exact]
    reason = _why_default(fleet, chosen) if scheme is None else _why_named(chosen, risky)
    names = tuple(cpu.name for cpu in fleet)
    return Choice(names, chosen, reason, tuple(cpu.name for cpu in risky))


def default_scheme(fleet: Fleet) -> Scheme:
    """Give the scheme that is taken for a fleet if none is named."""
    return SCHEMES["u8s8"] if all(cpu.exact for cpu in fleet) else SAFE


def variant_name(source: str, scheme: Scheme) -> str:
    """Name the variant that an fp32 variant becomes: `int8` alone is what is safe on every CPU.

    Args:
        source: Name of the fp32 variant, such as `fp32` or `fp32-nchw`.
        scheme: What it is quantized to.
    """
    own = "int8" if scheme == SAFE else f"int8-{scheme.name}"
    return source.replace("fp32", own) if "fp32" in source else f"{source}-{own}"


def _is_safe(scheme: Scheme) -> bool:
    # ONNX Runtime turns int8 activations into uint8 where it runs on x86, so they saturate, too.
    return scheme.bounded or scheme.weights == "uint8"


def _why_default(fleet: Fleet, scheme: Scheme) -> str:
    if not scheme.bounded:
        return (
            f"{scheme.name}: {names_of(fleet)} {_verb(fleet, 'multiplies', 'multiply')} bytes "
            "exactly, so weights keep all 8 bits."
        )
    risky = [cpu for cpu in fleet if not cpu.exact]
    return (
        f"{scheme.name}: {names_of(risky)} {_verb(risky, 'adds', 'add')} products of bytes in 16 "
        "bits, so weights are kept so small that no sum saturates."
    )


def _why_named(scheme: Scheme, risky: list[Cpu]) -> str:
    parts = [f"{scheme.name} was asked for"]
    if risky:
        parts.append(
            f"On {names_of(risky)} sums of two products may saturate, so answers may differ there"
        )
    if scheme.name in _SLOWER:
        parts.append(_SLOWER[scheme.name])
    return ". ".join(parts) + "."


def _verb(cpus: Fleet | list[Cpu], one: str, many: str) -> str:
    return one if len(cpus) == 1 else many
