"""Older layouts of a bench's report, read as the present one."""

from __future__ import annotations

from typing import Any

Values = dict[str, Any]


def from_version_1(body: Values) -> Values:
    """Read a report of version 1, whose blocks held four turns of two sessions.

    It knew neither when a turn began nor its CPU time; both are 0.
    """
    samples = body["samples"]
    sessions = samples["sessions"]
    where = {(one["variant"], one["repeat"], one["replicate"]): n for n, one in enumerate(sessions)}
    return body | {
        "samples": samples
        | {
            "sessions": [_without_repeat(one) for one in sessions],
            "blocks": [_block(block, where) for block in samples["blocks"]],
        }
    }


def _without_repeat(session: Values) -> Values:
    return {key: value for key, value in session.items() if key != "repeat"}


def _block(block: Values, where: dict[tuple[str, bool, int], int]) -> Values:
    first, second, replicate = block["first"], block["second"], block["replicate"]
    ours = [_leg(where[first, False, replicate], times, block) for times in block["first_ns"]]
    repeat = first == second
    theirs = [_leg(where[second, repeat, replicate], times, block) for times in block["second_ns"]]
    return {"replicate": replicate, "legs": [*ours[:1], *theirs, *ours[1:]]}


def _leg(session: int, times_ns: list[int], block: Values) -> Values:
    return {
        "session": session,
        "at_seconds": 0.0,
        "times_ns": times_ns,
        "cpu_ns": 0,
        "settle_cpu_ns": 0,
        "idle": block["idle"],
    }
