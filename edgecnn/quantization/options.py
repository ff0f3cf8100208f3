"""What users may wish of int8, and whether it can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from edgecnn.errors import InputError
from edgecnn.quantization.candidates import usual_calibrations
from edgecnn.quantization.choosing import Choice, choose_scheme
from edgecnn.quantization.cpus import Fleet, parse_cpus
from edgecnn.quantization.gate import points
from edgecnn.quantization.schemes import Scheme, find_scheme

FASTEST = "fastest"


class Int8Options(TypedDict, total=False):
    """Keywords of `edgecnn.quantize` that `edgecnn.export` hands on."""

    cpu: str | None
    scheme: str | None
    calibration: str | Sequence[str] | None
    calibration_samples: int | None
    selection_samples: int | None
    calibration_resamples: int | None
    mixed: bool
    max_drop: float | None
    min_sqnr: float | None
    duration: float | None


@dataclass(frozen=True)
class Wishes:
    """What was asked for, checked.

    Attributes:
        choice: The scheme, and the CPUs that it is for.
        fleet: These CPUs.
        fastest: Measure which scheme is the fastest; `choice` is the usual one until then.
        named: Whether scheme or CPUs were named by the user.
        calibrations: Ways to take ranges that are compared, the simplest first.
        calibration_samples: Images that set the ranges; None for the usual number.
        selection_samples: Images that candidates are compared on; None likewise.
        resamples: Other draws of calibration images whose results are compared.
        mixed: Leave in float what int8 hurts most.
        max_drop: Largest loss of accuracy allowed; None if not named.
        min_sqnr: Least distance from fp32 wanted, in dB; None likewise.
    """

    choice: Choice
    fleet: Fleet
    fastest: bool
    named: bool
    calibrations: tuple[str, ...]
    calibration_samples: int | None
    selection_samples: int | None
    resamples: int
    mixed: bool
    max_drop: float | None
    min_sqnr: float | None


def check_wishes(
    *,
    cpu: str | None = None,
    scheme: str | None = None,
    calibration: str | Sequence[str] | None = None,
    calibration_samples: int | None = None,
    selection_samples: int | None = None,
    calibration_resamples: int | None = None,
    mixed: bool = False,
    max_drop: float | None = None,
    min_sqnr: float | None = None,
) -> Wishes:
    """Check what was asked for; the arguments are those of `edgecnn.quantize`.

    Raises:
        InputError: A name is unknown, or a number cannot be.
    """
    fleet = parse_cpus("any" if cpu is None else cpu)
    named = None if scheme in (None, FASTEST) else find_scheme(str(scheme))
    choice = choose_scheme(fleet, named)
    for flag, count in (
        ("--calibration-samples", calibration_samples),
        ("--selection-samples", selection_samples),
        ("--calibration-resamples", calibration_resamples),
    ):
        if count is not None and count < 1:
            raise InputError(
                f"{count} images or draws calibrate nothing.", f"Use {flag} 1 or more."
            )
    if max_drop is not None and not 0 <= max_drop <= 1:
        raise InputError(
            f"A loss of {points(max_drop)} points cannot be.", "Use --max-drop 0.5pp, for example."
        )
    if min_sqnr is not None and not math.isfinite(min_sqnr):
        raise InputError(
            f"A ratio of {min_sqnr} dB cannot be wanted.", "Use --min-sqnr 20dB, for example."
        )
    return Wishes(
        choice,
        fleet,
        scheme == FASTEST,
        bool(cpu or scheme),
        _calibrations(calibration, choice.scheme),
        calibration_samples,
        selection_samples,
        calibration_resamples or 0,
        mixed,
        max_drop,
        min_sqnr,
    )


def _calibrations(wanted: str | Sequence[str] | None, scheme: Scheme) -> tuple[str, ...]:
    from edgecnn.quantization.calibration import METHODS

    if wanted is None:
        return usual_calibrations(scheme)
    names = wanted.split(",") if isinstance(wanted, str) else list(wanted)
    found = tuple(dict.fromkeys(name.strip() for name in names))
    for name in found:
        if name not in METHODS:
            raise InputError(
                f"No calibration is called '{name}'.", f"Use one of {', '.join(METHODS)}."
            )
    return found
