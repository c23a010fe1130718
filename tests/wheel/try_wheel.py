"""Tries an installed wheel from an empty folder, as a new user would; ``make wheel`` runs it with just the wheel."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

COMMANDS = (
    (0, "--help"),
    (0, "library list chips"),
    (0, "new mychip"),
    (0, "check --schema --out sweep.schema.json"),
    (0, "check mychip.yaml"),
    (0, "new --list"),
    (0, "run quickstart --out quick --quiet --draw none --no-report"),
    (0, "run mychip.yaml --out here --quiet"),
    (0, "show here"),
    (0, "report here --out here.html"),
    (2, "check mychip.yaml --set objectives[0].direction=minimise"),
    (3, "run mychip.yaml --set constraints[0].max=0.001 --out none --quiet --draw none"),
)


def main() -> None:
    """Run every command and the Python of the README in an empty folder."""
    dse = Path(sys.executable).with_name("dse")
    with tempfile.TemporaryDirectory() as folder:
        for status, arguments in COMMANDS:
            done = subprocess.run([dse, *arguments.split()], cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != status:
                sys.exit(f"dse {arguments}: {done.returncode}, not {status}\n{done.stdout}\n{done.stderr}")
        for name in ("here/report.html", "here.html", "here/pareto.csv", "sweep.schema.json"):
            assert (Path(folder) / name).stat().st_size > 1000, name
        assert json.loads((Path(folder) / "here/manifest.json").read_text())["counts"]["feasible"]
        program = "from dse import load; print(load('mychip.yaml').evaluate({'macs': [8192, 16384]}).shape)"
        subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        program = "from dse import open_run; open_run('here').explore().close()"
        subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        parts = "p.Path(m.__file__).parent.joinpath('py.typed').is_file() for m in (dse, cost_models)"
        typed = f"import dse, cost_models, pathlib as p; print([*({parts})])"
        result = subprocess.run([sys.executable, "-c", typed], cwd=folder, check=True, capture_output=True, text=True)
        assert result.stdout.strip() == "[True, True]"
    print("the wheel works from an empty folder")


main()
