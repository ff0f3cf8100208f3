"""Which provider computed each operator: what ONNX Runtime's own profile of some runs says."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from edgecnn.errors import UnavailableError
from edgecnn.placement import Copies, PlacedOperator, Placement, ProviderShare
from edgecnn.runtime import gpu, normalise_provider

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

_RUNS = 5
_EVENT = "_kernel_time"
_COPIES = {"MemcpyToHost": "to host", "MemcpyFromHost": "from host"}
_ENGINES = r"onnxruntime|openvino|/libtbb|/lib(cu|nv)[a-zA-Z]*\.so|libcudnn|/lib(amdhip|migraphx)"
_RECORD = "session.record_ep_graph_assignment_info"

Open = Callable[[Callable[[Any], None]], Any]  # given what changes the session's settings


class _Operator(NamedTuple):
    name: str
    operator: str
    provider: str
    time_ns: int


def read_placement(
    module: ModuleType, provider: str, open_again: Open, inputs: Arrays
) -> Placement:
    """Run a session that writes a profile, and read where its operators were computed.

    The session is another one than that which is measured, opened in the same way: what writes a
    profile is slower. The first run, in which some providers compile, is left out.

    Args:
        module: The package `onnxruntime`.
        provider: Where everything was to be computed.
        open_again: Opens such a session.
        inputs: Arrays by name.
    """
    with tempfile.TemporaryDirectory(prefix="edgecnn-placement-") as folder:
        session = open_again(lambda settings: _record(settings, folder))
        for _ in range(1 + _RUNS):
            session.run(None, dict(inputs))
        events = json.loads(Path(session.end_profiling()).read_bytes())
    operators = list(_operators(events))
    computed = [each for each in operators if each.operator not in _COPIES]
    elsewhere = [PlacedOperator(*each) for each in computed if each.provider != provider]
    return Placement(
        provider=provider,
        runs=_RUNS,
        shares=tuple(_shares(computed, provider)),
        copies=tuple(_copies(operators)),
        elsewhere=tuple(sorted(elsewhere, key=lambda each: -each.time_ns)),
        libraries=tuple(_libraries(module)),
    )


def left_to_the_cpu(provider: str, open_again: Open) -> list[PlacedOperator]:
    """List the operators that a provider does not take, without a run; from ONNX Runtime 1.24 on.

    Args:
        provider: The provider.
        open_again: Opens a session in which the CPU may compute the rest.

    Raises:
        UnavailableError: The provider did not start at all.
    """
    session = open_again(lambda settings: settings.add_session_config_entry(_RECORD, "1"))
    if provider not in map(normalise_provider, session.get_providers()):
        raise UnavailableError(
            f"'{provider}' did not start.", "Run `edgecnn doctor` to see what it needs."
        )
    return [
        PlacedOperator(node.name, node.op_type, normalise_provider(part.ep_name), 0)
        for part in session.get_provider_graph_assignment_info()
        if normalise_provider(part.ep_name) != provider
        for node in part.get_nodes()
    ]


def _record(settings: Any, folder: str) -> None:
    settings.enable_profiling = True
    settings.profile_file_prefix = str(Path(folder) / "profile")


def _operators(events: list[dict[str, Any]]) -> Iterator[_Operator]:
    def key(event: dict[str, Any]) -> tuple[int, str]:
        return int(event["args"].get("node_index", -1)), event["name"]

    own = [event for event in events if _is_operator(event)]
    for (_, name), group in groupby(sorted(own, key=key), key):
        each = list(group)
        first = each[0]["args"]
        yield _Operator(
            name.removesuffix(_EVENT),
            first["op_name"],
            normalise_provider(first["provider"]),
            _time_of_a_run([1_000 * int(event["dur"]) for event in each]),
        )


def _is_operator(event: dict[str, Any]) -> bool:
    return event.get("cat") == "Node" and event["name"].endswith(_EVENT)


def _time_of_a_run(times_ns: list[int]) -> int:
    """Give the median time of the runs but the first; a loop's body runs several times in each."""
    each, rest = divmod(len(times_ns), 1 + _RUNS)
    if rest or not each:  # not in every run alike
        return sum(times_ns) // (1 + _RUNS)
    runs = [sum(times_ns[start : start + each]) for start in range(each, len(times_ns), each)]
    return round(median(runs))


def _shares(operators: list[_Operator], provider: str) -> Iterator[ProviderShare]:
    found = dict.fromkeys(each.provider for each in operators)
    for name in sorted(found, key=lambda each: each != provider):
        own = [each.time_ns for each in operators if each.provider == name]
        yield ProviderShare(name, len(own), sum(own))


def _copies(operators: list[_Operator]) -> Iterator[Copies]:
    for kind, direction in _COPIES.items():
        own = [each.time_ns for each in operators if each.operator == kind]
        if own:
            yield Copies(direction, len(own), sum(own))  # type: ignore[arg-type]


def _libraries(module: ModuleType) -> Iterator[gpu.Library]:
    folder = str(Path(str(module.__file__)).parent)
    for library in gpu.loaded_libraries(_ENGINES):
        own = library.path.startswith(folder) and not library.version
        yield replace(library, version=module.__version__) if own else library
