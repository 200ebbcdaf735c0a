"""What a demo reports: numbers of one flight, beside the truth and the line."""

from __future__ import annotations

from typing import Any

import numpy as np

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.results.map_image import map_image
from aefi_bluesky.domain.results.scan_results import CHANNELS, FRAME_STATES, FrameState
from aefi_bluesky.session import Session
from aefi_bluesky.storage.tiled.read_back import differences
from aefi_bluesky.views.recorder import Recorder
from aefi_bluesky.views.truth import PositionReport, Truth, judge


def frame_counts(recorder: Recorder) -> dict[str, int]:
    """Return frames planned and frames by state."""
    results, plan = recorder.results, recorder.plan
    planned = plan.n_frames if plan else 0
    states = {
        str(state): results.frames[state] if results else 0 for state in FrameState
    }
    return {"planned": planned, **states}


def rates_hz(recorder: Recorder, bench: BenchDescription) -> dict[str, float]:
    """Return the medians over lines of the three rates, and the line's limit, in Hz.

    The limit is what the line's bytes and the controller's turnaround leave for the
    query of the moving axis.
    """
    lines = recorder.columns("lines")

    def median(name: str) -> float:
        return float(np.median(lines[name])) if lines else 0.0

    return {
        "loop": median("loop_rate"),
        "reading": median("reading_rate"),
        "fix": median("fix_rate"),
        "fix_line_limit": bench.link.fix_line_limit_hz,
    }


def position_report(session: Session, recorder: Recorder) -> PositionReport | None:
    """Return how the estimated positions compare with the simulator's truth."""
    readings = recorder.columns("readings")
    began_ns = session.flyer.began_ns
    if not readings or began_ns is None:
        return None
    scale = {
        "x": session.bench.x.um_per_step / 1000,
        "y": session.bench.y.um_per_step / 1000,
    }
    return judge(readings, Truth.read(session.write_truth()), began_ns, scale)


def expected_streams(session: Session, recorder: Recorder) -> dict[str, Any]:
    """Return what the engine produced, as the columns that Tiled must give back."""
    frames = recorder.columns("frames")
    if frames:
        texts = np.array([state.value for state in FRAME_STATES])
        frames["state"] = texts[frames["state"]]
    streams: dict[str, Any] = {
        "primary": frames,
        "lines": recorder.columns("lines"),
        "readings": recorder.columns("readings"),
        "fixes": recorder.columns("fixes"),
        "maps": _expected_maps(recorder, frames),
        "health": _one_row(session.flyer.health_stream.read()),
    }
    constants = _one_row(session.constants.read())
    streams["baseline"] = {
        name: np.repeat(values, 2) for name, values in constants.items()
    }
    # Before the first flight of a session nothing is known of the excitation.
    after = "off" if session.flyer.excitation_off else "unknown"
    streams["baseline"]["excitation"] = np.array(["unknown", after])
    return {name: columns for name, columns in streams.items() if columns}


def _one_row(reading: dict[str, Any]) -> dict[str, Any]:
    return {name: np.array([entry["value"]]) for name, entry in reading.items()}


def _expected_maps(recorder: Recorder, frames: dict[str, Any]) -> dict[str, Any]:
    plan = recorder.plan
    if plan is None or recorder.results is None:
        return {}
    spec = plan.spec
    maps: dict[str, Any] = {
        "map_x": spec.centres_mm("x")[np.newaxis],
        "map_y": spec.centres_mm("y")[np.newaxis],
    }
    ok = {}
    if frames:
        is_ok = frames["state"] == FrameState.OK.value
        ok = {name: values[is_ok] for name, values in frames.items()}
    for channel in CHANNELS:
        at, values = ok.get("frame", []), ok.get(channel, [])
        maps[f"map_{channel}"] = map_image(plan, at, values)[np.newaxis]
        if spec.differential:
            muted = map_image(plan, at, values, muted=True)
            maps[f"map_{channel}_muted"] = muted[np.newaxis]
    return maps


def read_back(session: Session, recorder: Recorder, uid: str) -> tuple[str, ...]:
    """Return in what the run in Tiled differs from what the engine produced."""
    return differences(session.catalog[uid], expected_streams(session, recorder))


def table(report: dict[str, Any]) -> str:
    """Return a report as text for a terminal."""
    frames, rates, position = (
        report["frames"],
        report["rates_hz"],
        report["position_um"],
    )
    states = ", ".join(
        f"{count} {state}"
        for state, count in frames.items()
        if state != "planned" and count
    )
    rows = [
        ("frames", f"{frames['planned']} planned: {states or 'none ended'}"),
        ("control loop", f"{rates['loop']:.1f} exchanges/s (median of lines)"),
        ("readings", f"{rates['reading']:.1f} /s, {report['readings']} in all"),
        (
            "position fixes",
            f"{rates['fix']:.1f} /s, {report['fixes']} in all; "
            f"line limit {rates['fix_line_limit']:.1f} /s",
        ),
    ]
    if position["inside_fraction"] is not None:
        rows += [
            ("position error", f"{position['rms_error']:.1f} um rms against the truth"),
            ("interval", f"{position['median_interval']:.1f} um wide (median)"),
            ("truth inside", f"{100 * position['inside_fraction']:.3f} % of readings"),
        ]
    rows += [
        (
            "time",
            f"{report['flight_s']:.1f} s of bench time in {report['wall_s']:.1f} s",
        ),
        ("read back", "equal" if report["read_back_equal"] else "DIFFERS"),
        ("exit status", report["exit_status"]),
        ("uid", report["uid"]),
    ]
    return "\n".join(f"{name:<16}{value}" for name, value in rows)
