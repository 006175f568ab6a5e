"""--log-driver and --log-opt: what the shim is told, and what each record carries; the format `local`."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from minidock.cli.parse_logs import log_config
from minidock.engine import log_config as settings
from minidock.engine import log_files, logs
from minidock.engine.record import Record
from minidock.errors import UsageError
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig, LogConfig
from minidock.model.log_options import check_log_config
from minidock.paths import Layout
from tests.unit.test_logs import record as json_record


def record(driver: str = "json-file", **options: str) -> Record:
    options = {name.replace("_", "-"): value for name, value in options.items()}
    config = ContainerConfig(labels={"a": "1", "b": "2", "about": "3"}, env=["FOO=x=y", "FOOT=z", "BAR=w"])
    host = HostConfig(log_config=LogConfig(driver, options))
    return Record("0123456789abcdef" * 4, "web", "", "busybox:1", "sha256:" + "ab" * 32, config, host, [])


def test_defaults(layout: Layout) -> None:
    ours = settings.log_file(layout, record())
    assert ours is not None
    assert (ours.max_size, ours.max_files, ours.local, ours.compress) == (10 << 20, 3, False, False)
    local = settings.log_file(layout, record("local"))
    assert local is not None
    assert (local.max_size, local.max_files, local.local, local.compress) == (20 << 20, 5, True, True)
    assert settings.log_file(layout, record("none")) is None
    endless = settings.log_file(layout, record(max_size="-1"))
    assert endless is not None
    assert endless.max_size == 0


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, {}),
        ({"labels": "a,nosuch"}, {"a": "1"}),
        ({"labels_regex": "^a"}, {"a": "1", "about": "3"}),
        ({"env": "FOO"}, {"FOO": "x=y"}),
        ({"env_regex": "^FOO", "labels": "b"}, {"FOO": "x=y", "FOOT": "z", "b": "2"}),
        ({"tag": "{{.Name}}/{{.ID}}/{{ .ImageName }}"}, {"tag": "web/0123456789ab/busybox:1"}),
        ({"tag": "{{.ImageID}} {{.DaemonName}}"}, {"tag": "abababababab minidock"}),
    ],
)
def test_attributes(options: dict[str, str], found: dict[str, str]) -> None:
    assert settings.attributes(record(**options)) == found


def test_a_tag_that_nobody_knows() -> None:
    with pytest.raises(UsageError, match=r"--log-opt tag: \{\{.Nosuch\}\} is none of ID, FullID"):
        settings.attributes(record(tag="{{.Nosuch}}"))


@pytest.mark.parametrize(
    ("driver", "words", "message"),
    [
        ("local", ["tag=x"], "unknown log opt 'tag' for log driver local"),
        ("json-file", ["compress=x"], 'strconv.ParseBool: parsing "x": invalid syntax'),
        ("json-file", ["max-file=1", "compress=true"], "compress cannot be true when max-file is less than 2"),
        ("json-file", ["mode=lazy"], "logger: logging mode not supported: lazy"),
        ("local", ["max-buffer-size=1m"], "logger: max-buffer-size option is only supported with 'mode=non-blocking'"),
        ("json-file", ["labels-regex=("], "error parsing regexp"),
        ("nosuch", [], 'error looking up logging plugin nosuch: plugin "nosuch" not found'),
    ],
)
def test_what_is_refused(driver: str, words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_log_config(log_config(driver, words))
    assert caught.value.message.startswith(message)


# reading `local`

LOCAL = b"o18eb5610cf9e67ad first\ne18eb5610cf9edfe5 \xff raw bytes\no18eb56\nO18eb5610cf9f0c57 no end\n"
"""The third has lost its end to a full disk."""


def test_local_gives_back_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "c-local.log"
    path.write_bytes(LOCAL)
    assert list(logs.read(path)) == [(1, b"first\n"), (2, b"\xff raw bytes\n"), (1, b"no end")]
    first = next(logs.read(path, timestamps=True))
    assert first == (1, b"2026-11-25T16:18:26.640005037Z first\n")


def test_details_are_encoded(tmp_path: Path) -> None:
    path = tmp_path / "c-json.log"
    path.write_bytes(b'{"log":"x\\n","stream":"stdout","attrs":{"b":"c d","a":"/"},"time":"2026-11-25T16:18:26Z"}\n')
    assert list(logs.read(path, details=True)) == [(1, b"a=%2F,b=c+d x\n")]


# compressed files


def compress(path: Path) -> None:
    """As gzip(1) does it: another file, with the time of the old one; then the old one goes."""
    status = path.stat()
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.unlink()


def lines(path: Path, **options: int) -> list[str]:
    return [text.decode().rstrip("\n") for _, text in logs.read(path, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 9, 10, 99])
def test_compressed_files_are_read_as_the_others(tmp_path: Path, count: int) -> None:
    path = tmp_path / "c-json.log"
    for number, name in ((0, ".2"), (3, ".1"), (6, "")):
        texts = [f"{number + index}" for index in range(3)]
        (tmp_path / f"c-json.log{name}").write_bytes(b"".join(json_record(f"{text}\n") for text in texts))
    for name in (".1", ".2"):
        compress(tmp_path / f"c-json.log{name}")
    everything = [str(number) for number in range(9)]
    assert lines(path) == everything
    assert lines(path, tail=count) == everything[max(0, 9 - count) :]


def test_half_a_compressed_file_does_not_count_while_the_whole_one_is_there(tmp_path: Path) -> None:
    path = tmp_path / "c-json.log"
    (tmp_path / "c-json.log.1").write_bytes(json_record("old\n"))
    (tmp_path / "c-json.log.1.gz").write_bytes(gzip.compress(json_record("old\n"))[:12])
    path.write_bytes(json_record("new\n"))
    assert lines(path) == ["old", "new"]
    (tmp_path / "c-json.log.1").unlink()
    assert lines(path) == ["new"]


def test_a_follower_finds_its_file_again_after_compression(tmp_path: Path) -> None:
    path = tmp_path / "c-json.log"
    path.write_bytes(json_record("one\n"))
    left = iter([True] * 3)
    follower = logs.read(path, follow=True, running=lambda: next(left, False))
    assert next(follower) == (1, b"one\n")
    os.rename(path, tmp_path / "c-json.log.1")
    compress(tmp_path / "c-json.log.1")
    path.write_bytes(json_record("two\n"))
    assert [text for _, text in follower] == [b"two\n"]
    assert [name.name for name in log_files.files(path)] == ["c-json.log", "c-json.log.1.gz"]
