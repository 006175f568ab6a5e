"""The lines that scripts/bench prints."""

from scripts.rows.engines import OURS, PODMAN, THEIRS, Bench, Row, Samples
from scripts.rows.table import HEAD, line


def nothing(bench: Bench, times: int) -> Samples:
    raise AssertionError("not asked")


ROW = Row("pull", "ms", "0.6", nothing)


def cells(samples: Samples) -> dict[str, str]:
    names, values = (
        [cell.strip() for cell in text.strip("|").split("|")] for text in (HEAD.splitlines()[0], line(ROW, samples))
    )
    return dict(zip(names, values, strict=True))


def test_podman_has_its_time_and_its_ratio() -> None:
    found = cells({OURS: [100.0, 110.0, 90.0], THEIRS: [200.0], PODMAN: [400.0, 500.0, 300.0]})
    assert found["podman, minidock / podman"] == "400 ms, **0.25x**"
    assert found["minidock / Docker"] == "**0.50x**"


def test_a_dash_says_that_podman_is_absent() -> None:
    assert cells({OURS: [1.0], THEIRS: [2.0], PODMAN: []})["podman, minidock / podman"] == "-"


def test_a_row_without_podman_says_nothing_of_it() -> None:
    assert cells({OURS: [1.0], THEIRS: [2.0]})["podman, minidock / podman"] == ""
