"""What an engine does over time, as a simulation saw it: steps, batch, queue and chunks of prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cost_models.table import FloatArray
from dse.analysis.explain.simulated import SimulatedRun
from dse.render.plots.style import GREY, SERIES, drawing, new_figure, save

SHOWN = 400
"""Lines of the timeline that are drawn: enough for some hundred steps, few enough to tell them apart."""


def draw_timelines(runs: Mapping[str, SimulatedRun], folder: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Draw a figure per workload of a stretch after the warm-up in which most requests wait; return the files."""
    paths = []
    with drawing():
        for name, run in runs.items():
            paths += _draw(name, run, folder, formats)
    return paths


def busiest(timeline: FloatArray) -> FloatArray:
    """Return the stretch of a timeline, past its first fifth, in which most requests wait in the mean."""
    late = timeline[len(timeline) // 5 :] if len(timeline) > 2 * SHOWN else timeline
    if len(late) <= SHOWN:
        return late
    waited = np.concatenate([[0.0], np.cumsum(late[:, 2])])
    start = int(np.argmax(waited[SHOWN:] - waited[:-SHOWN]))
    return late[start : start + SHOWN]


def _draw(name: str, run: SimulatedRun, folder: Path, formats: Sequence[str]) -> list[Path]:
    shown = busiest(run.requests.timeline)
    start, decoding, queued, prompts = shown.T
    seconds = start - start[0]
    figure = new_figure(8.0, 6.4)
    steps, batch, queue, chunks = figure.subplots(4, 1, sharex=True)
    steps.step(seconds[:-1], np.diff(start) * 1e3, where="post", color=SERIES[0], linewidth=0.9)
    steps.set_ylabel("time to the\nnext change, ms")
    batch.step(seconds, decoding, where="post", color=SERIES[1], linewidth=1.1)
    batch.set_ylabel("decoding\nsequences")
    if decoding.max() > run.most / 2:
        batch.axhline(run.most, color=GREY, linewidth=0.9, linestyle=":")
    queue.step(seconds, queued, where="post", color=SERIES[2], linewidth=1.1)
    queue.set_ylabel("waiting or\nat prompts")
    chunks.step(seconds, prompts, where="post", color=SERIES[3], linewidth=0.9)
    chunks.axhline(run.chunk_tokens, color=GREY, linewidth=0.9, linestyle=":")
    chunks.set(ylabel="prompt tokens\nin the step", xlabel="time, s")
    for axes in (steps, batch, queue, chunks):
        axes.set_ylim(bottom=0)
    title = f"{name}: one engine over time, {len(shown)} steps; dotted: most that memory and a step take"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return save(figure, folder, f"timeline-{name}", formats)
