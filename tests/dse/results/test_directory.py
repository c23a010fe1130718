"""Where a run is written to."""

from dse.results.directory import place_for_run
from tests.dse.results.test_store import WHEN


def test_a_second_run_of_a_second_has_the_next_number(tmp_path):
    names = []
    for _ in range(3):
        place = place_for_run("tiny", "0123456789abcdef", started=WHEN, results=tmp_path)
        place.mkdir(parents=True)
        names.append(place.name)
    assert names == [f"20260304T050607Z-01234567{end}" for end in ("", "-2", "-3")]
