"""stats: from counters to figures, and to the table."""

from __future__ import annotations

import pytest

from minidock.cli.stats import _frame, columns
from minidock.engine.record import Record
from minidock.engine.stats import Sample, figures
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig
from minidock.model.lists import ContainerStats

RECORD = Record("c" * 64, "web", "", "busybox", "", ContainerConfig(), HostConfig(), [])


def test_processor_time_is_a_share_of_one_processor() -> None:
    found = figures(RECORD, Sample(at=10.0, cpu=1_000_000), Sample(at=12.0, cpu=4_000_000, memory=1, memory_limit=4))
    assert found.cpu_percent == pytest.approx(150)
    assert found.memory_percent == 25


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (None, Sample(at=1, cpu=100)),  # it has come since the last look
        (Sample(at=1, cpu=100), Sample()),  # it has ended since
        (Sample(), Sample(at=1, cpu=100)),
        (Sample(at=1, cpu=100), Sample(at=2, cpu=10)),  # it has been started again
    ],
)
def test_without_two_looks_there_is_no_share(before: Sample | None, now: Sample) -> None:
    assert figures(RECORD, before, now).cpu_percent == 0


def test_units_are_dockers() -> None:
    row = ContainerStats("c" * 64, "web", 12.345, 3 << 19, 25_276_000_000, 6.2, 1234, 0, 12_345_678, 999, 7)
    shown = {name: value() for name, value in columns(row, "web", no_trunc=False).items()}
    assert shown["CPUPerc"] == "12.35%"
    assert shown["MemUsage"] == "1.5MiB / 23.54GiB"
    assert shown["NetIO"] == "1.23kB / 0B"
    assert shown["BlockIO"] == "12.3MB / 999B"
    assert _frame([columns(row, "web", no_trunc=False)], "").count("\n") == 2
