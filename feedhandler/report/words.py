"""What stands above the tables of a report: its title, and its run in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from feedhandler.report.ages import START_MAX_S
from feedhandler.report.facts import SHOWN

_AGES: Final = (
    "weighted by time, in ms; an unknown age counts as the time since the last quote;"
    " before the first there is a deadline instead"
)
_TRADABLE: Final = (
    "by the verdict that each sample saw; the start is over with the first such moment,"
    f" after {START_MAX_S:g} s at the latest; time between lost samples does not count"
)


def title(document: dict[str, Any]) -> str:
    """Return what the report is of, and which evidence it lacks altogether."""
    run, read = document["run"], document["evidence"]
    name = run["instance"]
    of = f"Run of {name}" if name else "Run without a name"
    if read["samples"]:
        return f"{of}, {run['span_s'] / 60:.1f} minutes"
    lacks = "telemetry without a sample" if read["files"] else "no telemetry"
    if run["lasted_s"] is not None:
        return f"{of}, {run['lasted_s'] / 60:.1f} minutes by its manifest: {lacks}"
    is_nothing = not (name or read["files"]) and document["process_ends"] is None
    if is_nothing and run["manifest"] != "read":
        return "No run here: no telemetry, no manifest, no log"
    return f"{of}: {lacks}"


def facts(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each fact of the run with its label."""
    run, read = document["run"], document["evidence"]
    for key in SHOWN:
        text = run["in_words"].get(key) or run[key]
        if text is not None:
            yield key, text
    if run["manifest"] == "read":
        yield "ended", run["in_words"]["ended"]
    yield "venues expected", ", ".join(run["expected_venues"]) or "unknown"
    yield (
        "read",
        f"{read['lines']:,} lines, {read['samples']:,} samples,"
        f" {read['damaged']} damaged, {read['samples_missing']} missing,"
        f" longest pause {read['sample_gap_max_s']} s"
        + (", last line cut" if read["is_cut"] else ""),
    )
    for place in read["damaged_at"]:
        yield "damaged line", place
    if run["manifest"] not in (None, "read"):
        yield "manifest", run["manifest"]
    if read["samples"]:
        yield "ages", _AGES
        yield "tradable", _TRADABLE
