"""--log-driver and --log-opt; what Docker's server checks of them is in model/log_options.py."""

from __future__ import annotations

from ..errors import UsageError
from ..model.host import LogConfig
from .parse_env import key_values


def log_config(driver: str, words: list[str]) -> LogConfig:
    """What is asked for; without a driver it is json-file. What Docker's client refuses is refused here."""
    options = key_values(words)
    if driver == "none" and options:
        raise UsageError("invalid logging opts for driver none")
    return LogConfig(driver or "json-file", dict(sorted(options.items())))
