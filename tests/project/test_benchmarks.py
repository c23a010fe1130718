"""The benchmarks of the search run as they are written, on a small sweep."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def printed(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_samplers_are_measured_against_the_exact_front(tmp_path):
    picture = tmp_path / "pictures" / "near.png"
    sweep = ("--sweep", "sweeps/quickstart.yaml", "--share", "0.9", "--seeds", "2")
    text = printed("benchmarks/search.py", *sweep, "--only", "random", "evolve", "--picture", picture)
    shares = [float(share) for share in re.findall(r"([\d.]+)%", text)]
    assert "on the exact front" in text and shares and max(shares) <= 100.0
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert {"random", "evolve", "sobol+evolve"} <= set(lines)
    last = re.findall(r"([\d.]+)% \[", lines["evolve"])[-1]
    assert float(last) > 80, "nine tenths of the grid hold most of its front"
    assert picture.stat().st_size > 10_000


def test_what_is_done_with_a_table_can_be_noted_down():
    """Arrays that are filled piece by piece lose where they came from, and with it what the loop is compared with."""
    program = (
        "import sys; sys.path.insert(0, 'benchmarks')\n"
        "from evaluator import Case\n"
        "from fused import noted_outputs\n"
        "case = Case('sweeps/mach1.yaml')\n"
        "tape, wanted = noted_outputs(case.outputs, case.designs())\n"
        "print(len(tape.lines), *wanted)"
    )
    steps, *outputs = printed("-c", program).split()
    assert int(steps) > 500
    assert {"chat_70b.tpot_ms", "chat_70b.decode_w", "cost_usd"} <= set(outputs)


def test_a_grid_is_timed_with_its_memory():
    text = printed("benchmarks/grid.py", "--sweep", "sweeps/quickstart.yaml", "--jobs", "1", "--whole")
    assert re.search(r"Peak memory 0\.\d\d GB", text) and "0 of them decided without evaluation" in text


def test_every_stage_of_a_whole_run_has_its_time():
    asked = ("--sweeps", "quickstart", "--rounds", "1", "--jobs", "1", "--forms", "infeasible")
    text = printed("benchmarks/whole_run.py", *asked)
    text, _, answers = text.partition("quickstart: from the end of the search")
    answer = re.search(r"infeasible +([\d.]+) s, what would do after ([\d.]+) s", answers)
    assert answer and 0 < float(answer[1]) < float(answer[2])
    spent = {name: float(seconds) for name, seconds in re.findall(r"^  (\w+) +([\d.]+) s", text, re.MULTILINE)}
    assert all(spent[stage] > 0 for stage in ("start", "read", "write", "report", "figures")) and spent["workers"] == 0
    whole = sum(spent[line] for line in spent.keys() - {"processor", "wall"})
    assert abs(whole - spent["processor"]) < 0.01 * len(spent), "every second is counted once"


def test_growth_is_measured_and_drawn(tmp_path):
    picture = tmp_path / "growth.png"
    small = ("--designs", "65536", "--sampled", "4096", "--rounds", "1", "--no-dask")
    text = printed("benchmarks/scaling.py", *small, "--picture", picture)
    assert re.search(r"two processes over one: \d+\.\d\d by the clock .*, \d+\.\d\d by processor time", text)
    rows = [line.split() for line in text.splitlines() if re.match(r" +\d+ +\d+ ", line)]
    assert len(rows) == 19 and all(float(cell) >= 0 for row in rows for cell in row)
    fronts = [int(row[1]) for row in rows[-5:]]
    assert fronts == sorted(fronts) and fronts[0] == 1, "more objectives leave more designs undominated"
    assert picture.stat().st_size > 10_000
