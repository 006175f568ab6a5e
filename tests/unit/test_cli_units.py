"""Sizes, processors, durations and moments."""

from __future__ import annotations

import pytest

from minidock.cli import units
from minidock.engine.durations import human_duration
from minidock.errors import UsageError


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("0", 0),
        ("1024", 1024),
        ("64m", 64 << 20),
        ("64M", 64 << 20),
        ("64mb", 64 << 20),
        ("1.5gb", 3 << 29),
        ("1gib", 1 << 30),
        ("1 g", 1 << 30),
        (".5g", 1 << 29),
        ("1e9", 10**9),
        ("10b", 10),
        ("2t", 2 << 40),
    ],
)
def test_sizes(raw: str, wanted: int) -> None:
    assert units.size(raw) == wanted


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "invalid size: ''"),
        ("abc", "invalid size: 'abc'"),
        ("-1", "invalid size: '-1'"),
        ("1x", "invalid suffix: 'x'"),
        ("1mx", "invalid suffix: 'mx'"),
        ("1bb", "invalid suffix: 'bb'"),
        ("1kibs", "invalid suffix: 'kibs'"),
        ("a1", 'strconv.ParseFloat: parsing "a1": invalid syntax'),
        ("1_0", 'strconv.ParseFloat: parsing "1_0": invalid syntax'),
    ],
)
def test_bad_sizes(raw: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        units.size(raw)
    assert caught.value.message == message


def test_swap_may_be_unlimited() -> None:
    assert units.size_or_unlimited("-1") == -1
    with pytest.raises(UsageError):
        units.size_or_unlimited("-2")


@pytest.mark.parametrize(
    ("raw", "wanted"), [("1.5", 1_500_000_000), ("1/2", 500_000_000), ("1e0", 10**9), ("-1", -(10**9))]
)
def test_cpus(raw: str, wanted: int) -> None:
    assert units.cpus(raw) == wanted


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("a", "failed to parse a as a rational number"),
        ("", "failed to parse  as a rational number"),
        ("1/0", "failed to parse 1/0 as a rational number"),
        ("1.0000000001", "value is too precise"),
    ],
)
def test_bad_cpus(raw: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        units.cpus(raw)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("0", 0),
        ("1s", 10**9),
        ("1h30m", 5400 * 10**9),
        ("1.5s", 1_500_000_000),
        ("-2m", -120 * 10**9),
        ("5ms", 5_000_000),
    ],
)
def test_durations(raw: str, wanted: int) -> None:
    assert units.duration(raw) == wanted


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("x", 'time: invalid duration "x"'),
        ("", 'time: invalid duration ""'),
        ("5", 'time: missing unit in duration "5"'),
        ("5y", 'time: unknown unit "y" in duration "5y"'),
    ],
)
def test_bad_durations(raw: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        units.duration(raw)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("10m", 9400.0),
        ("1700000000", 1_700_000_000.0),
        ("1700000000.5", 1_700_000_000.5),
        ("2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000.123456789),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000.0),
    ],
)
def test_moments(raw: str, wanted: float) -> None:
    assert units.moment(raw, "since", now=10_000.0) == pytest.approx(wanted, abs=1e-6)


def test_a_bad_moment_names_its_flag() -> None:
    with pytest.raises(UsageError) as caught:
        units.moment("foo", "since")
    assert caught.value.message == 'invalid value for "since": failed to parse value as time or duration: "foo"'


@pytest.mark.parametrize(
    ("count", "wanted"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (1_982_263, "1.98MB"), (1_236_000_000, "1.24GB"), (999_999, "1000kB")],
)
def test_human_sizes(count: int, wanted: str) -> None:
    assert units.human_size(count) == wanted


def test_binary_sizes() -> None:
    assert units.human_size(25_276_000_000, digits=4, binary=True) == "23.54GiB"


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (0.4, "Less than a second"),
        (1.9, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (5399, "About an hour"),
        (5400, "2 hours"),
        (47.4 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_human_durations(seconds: float, wanted: str) -> None:
    assert human_duration(seconds) == wanted
