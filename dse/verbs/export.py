"""``dse export``: a run as a study of Optuna's."""

from __future__ import annotations

from dse.errors import SpecError
from dse.export import export_study
from dse.results.store import open_run
from dse.spec.storage_url import Kind, given_storage, kind_of, plain_url
from dse.terminal import console, print_lines
from dse.terminal.tables import number_text


def export_run(run: str, *, storage: str, study: str | None, at_most: int, every_metric: bool) -> None:
    """Write the designs of a run to a study and say what is in it.

    Args:
        run: run directory, folder of runs or "latest".
        storage: address of the storage.
        study: name of the study; that of sweep and run directory where None.
        at_most: designs to write.
        every_metric: whether every metric becomes an attribute.

    Raises:
        SpecError: the address is none.
        RunError: there is no such run, or the study cannot be written.
    """
    fault = given_storage(storage)
    if fault is not None:
        raise SpecError([fault])
    written = export_study(open_run(run), storage, name=study, at_most=at_most, every_metric=every_metric)
    left_out = written.kept - written.trials
    lines = [f"{number_text(written.trials)} trials, {number_text(written.front)} of them the front of the run"]
    if left_out:
        some = f"{number_text(left_out)} of the {number_text(written.kept)} designs that the run keeps are left out"
        lines.append(f"{some}, evenly; --designs {written.kept} takes them all")
    where = plain_url(storage) if kind_of(storage) is Kind.JOURNAL else storage
    lines.append(f"see it with: optuna-dashboard {where}")
    print_lines(console(), lines, heading=f"Study {written.name} in {storage}")
