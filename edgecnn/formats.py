"""Which runtime reads which variants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

from edgecnn import shelves
from edgecnn.errors import EdgeCNNError, InputError

_USUAL = "ort"


class HasFormat(Protocol):
    """A variant, as far as this goes."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def format(self) -> str:
        """What a runtime must read."""
        ...


Variants = TypeVar("Variants", bound=HasFormat)


def formats_of(runtime: str) -> frozenset[str]:
    """Give the formats that a runtime, named or by its path, reads.

    Raises:
        InputError: There is no such runtime.
    """
    found: frozenset[str] = getattr(shelves.load_runtime(runtime), "FORMATS", frozenset())
    return found


def readers(wanted: str) -> tuple[str, ...]:
    """Give the runtimes, on the shelf and by entry point, that read a format; sorted by name.

    One that does not load reads nothing; `edgecnn doctor` says why.
    """
    found = []
    for name in shelves.runtime_names():
        with suppress(EdgeCNNError):
            found += [name] if wanted in formats_of(name) else []
    return tuple(found)


def cannot_read(variant: HasFormat, *runtimes: str) -> InputError:
    """Say that runtimes do not read a variant, and which does."""
    others = " or ".join(f"`--runtime {name}`" for name in readers(variant.format))
    named = "' and '".join(runtimes)
    who = f"runtime '{named}' does" if len(runtimes) == 1 else f"runtimes '{named}' do"
    return InputError(
        f"The {who} not read '{variant.name}', which is of the format '{variant.format}'.",
        f"Use {others}." if others else "No runtime here does; `edgecnn doctor` lists them.",
    )


def readable(variants: Sequence[Variants], *runtimes: str) -> tuple[Variants, ...]:
    """Give those of a bundle's variants that one of some runtimes reads; none of no variants.

    Raises:
        InputError: There are some, and none of them is read.
    """
    known = frozenset[str]().union(*map(formats_of, runtimes))
    found = tuple(variant for variant in variants if variant.format in known)
    if variants and not found:
        raise cannot_read(variants[0], *runtimes)
    return found


def unread(variants: Iterable[HasFormat], *runtimes: str) -> tuple[str, ...]:
    """Say of each variant that none of some runtimes reads that it is left out, and what does."""
    known = frozenset[str]().union(*map(formats_of, runtimes))
    named = f"{' and '.join(runtimes)} {'does' if len(runtimes) == 1 else 'do'} not read"
    return tuple(
        f"Left out, as {named} the format {variant.format}: {variant.name}"
        + (f"; --runtime {name} does." if (name := usual_reader(variant.format)) else ".")
        for variant in variants
        if variant.format not in known
    )


def usual_reader(wanted: str) -> str | None:
    """Give the runtime that reads a format where nobody names one; None if none does."""
    names = readers(wanted)
    return _USUAL if _USUAL in names else next(iter(names), None)


def refuse_unreadable(variants: Iterable[HasFormat], *runtimes: str) -> None:
    """Refuse variants that were named and that none of some runtimes reads.

    Raises:
        InputError: There is one.
    """
    for variant in variants:
        readable([variant], *runtimes)
