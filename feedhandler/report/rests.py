"""What REST and the ladder did for one venue, from the counters of their processes."""

from __future__ import annotations

from typing import Any, Final

from feedhandler.report.gather import Run

STEPS: Final = ("resubscribe", "reconnect", "restart", "quarantine", "release")


def rest_facts(run: Run, venue: str) -> dict[str, Any]:
    """Return attempts and what became of them; nulls without the process."""
    grown = _grown(run, "rest", venue)
    kind = run.feed_kind(venue)
    if grown is None:
        keys = ("checks", "attempts", "successes", "injected", "entered", "left")
        nothing: dict[str, Any] = dict.fromkeys(keys)
        return {"venue": venue, "feed_kind": kind, **nothing}
    attempts = grown.get("attempt", 0)
    successes = grown.get("success", 0)
    injected = grown.get("inject", 0)
    discarded = _below(grown, "discarded.")
    return {
        "venue": venue,
        "feed_kind": kind,
        "checks": grown.get("rest_check", 0),
        "attempts": attempts,
        "successes": successes,
        "injected": injected,
        "success_ratio": _ratio(successes, attempts),
        "inject_ratio": _ratio(injected, successes),
        "discard_ratio": _ratio(sum(discarded.values()), successes),
        "failures": _below(grown, "fail."),
        "discarded": discarded,
        "entered": grown.get("entered", 0),
        "left": grown.get("left", 0),
    }


def ladder_facts(run: Run, venue: str) -> dict[str, Any]:
    """Return the steps of the ladder, commands and audits; nulls without a runner."""
    grown = _grown(run, "runner", venue)
    kind = run.feed_kind(venue)
    if grown is None:
        nothing: dict[str, Any] = dict.fromkeys(("steps", "commands", "audits"))
        return {"venue": venue, "feed_kind": kind, **nothing}
    return {
        "venue": venue,
        "feed_kind": kind,
        "steps": {
            step: count
            for step, count in _below(grown, "ladder.").items()
            if step in STEPS
        },
        "commands": _below(grown, "command."),
        "audits": _below(grown, "audit."),
    }


def _grown(run: Run, role: str, venue: str) -> dict[str, int] | None:
    process = run.processes.get(role)
    if process is None:
        return None
    end = f".{venue}"
    return {
        name.removesuffix(end): count
        for name, count in process.counters.grown().items()
        if name.endswith(end)
    }


def _below(counts: dict[str, int], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count
        for name, count in counts.items()
        if name.startswith(prefix)
    }


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
