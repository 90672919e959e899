"""The tables of the README: chainrule and its peers, from the last record of each network.

Command:  make table        (measures first: steps_against_peers.py and jobs_against_peers.py)
          python benchmarks/table.py     (prints again what was recorded last)
"""

from __future__ import annotations

import json
from typing import Any

from harness import RECORDS


def step_table(result: dict[str, Any]) -> str:
    """Write the updates of one network as a Markdown table."""
    lines = [
        f"\nOne update, {result['network']}, batch {result['rows']}, plan {result['plan']}, at most {result['threads']} threads\n",
        "| side | µs an update, median | least | chainrule takes |",
        "|--|--|--|--|",
    ]
    for side, found in result["sides"].items():
        lines.append(
            f"| {side} | {_round(found['microseconds'])} | {_round(found['least'])} | {_share(side, found)} |"
        )
    lines += [f"| {side} | {why} | | |" for side, why in result["skipped"].items()]
    reached = [_judged(result["sides"].get(side), side, goal) for side, goal in result["goals"].items()]
    return "\n".join([*lines, "", *filter(None, reached)])


def job_table(result: dict[str, Any]) -> str:
    """Write the jobs of one network as a Markdown table."""
    lines = [
        f"\nTen epochs of 4,000 digits, {result['network']}, whole job without import, plan {result['plan']}\n",
        "| side | seconds | test accuracy | chainrule takes |",
        "|--|--|--|--|",
    ]
    for side, found in result["sides"].items():
        lines.append(f"| {side} | {found['seconds']:.2f} | {found['accuracy']:.3f} | {_share(side, found)} |")
    lines += [f"| {side} | {why} | | |" for side, why in result["skipped"].items()]
    peers = {side: found for side, found in result["sides"].items() if not side.startswith("chainrule")}
    fastest = min(peers, key=lambda side: peers[side]["seconds"])
    return "\n".join([*lines, "", _judged(peers[fastest], f"{fastest}, the fastest peer", result["goal"])])


def last_records(claim: str) -> list[dict[str, Any]]:
    """Return the last record of each network."""
    path = RECORDS / f"{claim}.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return list({record["network"]: record for record in map(json.loads, lines)}.values())


def _share(side: str, found: dict[str, float]) -> str:
    if side == "chainrule":
        return ""
    return f"{_times(found['ratio'])} ({_times(found['low'])} to {_times(found['high'])})"


def _times(ratio: float) -> str:
    return f"1/{1 / ratio:.2f}" if ratio < 1 else f"{ratio:.2f} ×"


def _judged(found: dict[str, float] | None, side: str, goal: float) -> str:
    if found is None:
        return ""
    said = "reached" if found["ratio"] <= goal else "missed"
    return f"Goal: at most {_times(goal)} of {side}: {said} ({_times(found['ratio'])})."


def _round(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"


def main() -> None:
    for result in last_records("steps_against_peers"):
        print(step_table(result))
    for result in last_records("jobs_against_peers"):
        print(job_table(result))


if __name__ == "__main__":
    main()
