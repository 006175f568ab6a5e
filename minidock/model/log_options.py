"""--log-driver and --log-opt, checked as Docker's server does: drivers, their options, and the values of those."""

from __future__ import annotations

import re
from collections.abc import Callable

from minidock.errors import UsageError
from minidock.model.host import LogConfig
from minidock.sizes import go_bool, parse_size

DOCKERS = (*("awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "logentries", "splunk", "syslog"),)
"""Drivers that Docker has, and that send a log to somebody else."""


def _plain(value: str) -> None:
    """Any text will do."""


def _max_size(value: str) -> None:
    if value != "-1":
        parse_size(value)


def _max_file(value: str) -> None:
    if not value.lstrip("-").isdecimal():
        raise UsageError(f"invalid max-file: {value}")
    if int(value) < 1:
        raise UsageError("max-file cannot be less than 1")


def _bool(value: str) -> None:
    go_bool(value)


def _pattern(value: str) -> None:
    try:
        re.compile(value)
    except re.error as error:
        raise UsageError(f"error parsing regexp: {error}: `{value}`") from None


def _mode(value: str) -> None:
    if value not in ("blocking", "non-blocking"):
        raise UsageError(f"logger: logging mode not supported: {value}")


def _check_buffer(options: dict[str, str]) -> None:
    if options.get("mode") != "non-blocking":
        raise UsageError("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
    try:
        parse_size(options["max-buffer-size"])
    except UsageError as error:
        raise UsageError(f"error parsing option max-buffer-size: {error.message}") from error


FILES: dict[str, Callable[[str], None]] = {
    "max-size": _max_size,
    "max-file": _max_file,
    "compress": _bool,
    "mode": _mode,
    "max-buffer-size": _plain,
}
ATTRIBUTES: dict[str, Callable[[str], None]] = {
    "labels": _plain,
    "labels-regex": _pattern,
    "env": _plain,
    "env-regex": _pattern,
    "tag": _plain,
}
OPTIONS = {"json-file": {**FILES, **ATTRIBUTES}, "local": FILES, "none": FILES}


def check_log_config(config: LogConfig) -> None:
    """What Docker's server refuses: unknown drivers, options and values. Raises UsageError."""
    driver, options = config.type or "json-file", config.config
    if driver in DOCKERS:
        raise UsageError(f"--log-driver {driver} is not supported by this version of minidock")
    if driver not in OPTIONS:
        raise UsageError(f'error looking up logging plugin {driver}: plugin "{driver}" not found')
    for name, value in options.items():
        check = OPTIONS[driver].get(name)
        if check is None:
            whose = "json-file log driver" if driver == "json-file" else f"log driver {driver}"
            raise UsageError(f"unknown log opt '{name}' for {whose}")
        check(value)
    if "max-buffer-size" in options:
        _check_buffer(options)
    if options.get("max-file") == "1" and go_bool(options.get("compress", "false")):
        raise UsageError("compress cannot be true when max-file is less than 2 or max-size is not set")
