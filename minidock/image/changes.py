"""`--change` of import and commit: single instructions of a Dockerfile that only touch the image's config.

Behaviour and words of errors are those of Docker (its builder/dockerfile), seen from outside: compare tests/parity.
"""

from __future__ import annotations

import os.path
import re
import signal
from collections.abc import Callable

import msgspec

from minidock.errors import UsageError
from minidock.model.container import Healthcheck

from .manifest import RunConfig
from .words import expand, split_words

DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}

replace = msgspec.structs.replace


def apply_changes(config: RunConfig, changes: list[str]) -> RunConfig:
    """The config after the instructions, in order. Raises UsageError with Docker's words."""
    lines = [line.strip() for change in changes for line in change.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if changes and not lines:
        raise UsageError("file with no instructions")
    command_given = False
    for line in lines:
        keyword, _, rest = line.replace("\t", " ", 1).partition(" ")
        instruction = INSTRUCTIONS.get(keyword.lower())
        if instruction is None:
            raise UsageError(f"{keyword.lower()} is not a valid change command")
        config = instruction(config, rest.strip())
        if keyword.lower() == "entrypoint" and not command_given:
            config = replace(config, cmd=None)  # a command of the image below meant that image's entrypoint
        command_given = command_given or keyword.lower() == "cmd"
    return config


# One function an instruction


def _cmd(config: RunConfig, rest: str) -> RunConfig:
    return replace(config, cmd=_command(rest))


def _entrypoint(config: RunConfig, rest: str) -> RunConfig:
    return replace(config, entrypoint=_command(rest) if rest else None)


def _env(config: RunConfig, rest: str) -> RunConfig:
    env = list(config.env)
    for name, value in _pairs("ENV", rest, config.env):
        env = set_env(env, name, value)
    return replace(config, env=env)


def set_env(env: list[str], name: str, value: str) -> list[str]:
    """A variable keeps its place when it gets a new value."""
    if any(each.partition("=")[0] == name for each in env):
        return [f"{name}={value}" if each.partition("=")[0] == name else each for each in env]
    return [*env, f"{name}={value}"]


def _expose(config: RunConfig, rest: str) -> RunConfig:
    ports = dict(config.exposed_ports)
    for word in _some("EXPOSE", rest, config.env):
        for port in ports_of(word):
            ports[port] = {}
    return replace(config, exposed_ports=ports)


def _label(config: RunConfig, rest: str) -> RunConfig:
    return replace(config, labels={**config.labels, **dict(_pairs("LABEL", rest, config.env))})


def _onbuild(config: RunConfig, rest: str) -> RunConfig:
    if not rest:
        raise UsageError("ONBUILD requires at least one argument")
    trigger = rest.split()[0].upper()
    if trigger == "ONBUILD":
        raise UsageError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("FROM", "MAINTAINER"):
        raise UsageError(f"{trigger} isn't allowed as an ONBUILD trigger")
    return replace(config, on_build=[*config.on_build, rest])


def _stopsignal(config: RunConfig, rest: str) -> RunConfig:
    word = expand(_one("STOPSIGNAL", rest), config.env)
    if not is_signal(word):
        raise UsageError(f"Invalid signal: {word}")
    return replace(config, stop_signal=word)


def _user(config: RunConfig, rest: str) -> RunConfig:
    return replace(config, user=expand(_one("USER", rest), config.env))


def _volume(config: RunConfig, rest: str) -> RunConfig:
    listed = _json_list(rest)
    if listed == [] or not rest:
        raise UsageError("VOLUME requires at least one argument")
    words = [expand(word, config.env) for word in (listed if listed is not None else rest.split())]
    if not all(word.strip() for word in words):
        raise UsageError("VOLUME specified can not be an empty string")
    return replace(config, volumes={**config.volumes, **{word: {} for word in words}})


def _workdir(config: RunConfig, rest: str) -> RunConfig:
    path = expand(_one("WORKDIR", rest), config.env)
    # join() lets an absolute path win; a second slash in front, which normpath keeps, means nothing here.
    return replace(config, working_dir="/" + os.path.normpath(os.path.join("/", config.working_dir, path)).lstrip("/"))


def _healthcheck(config: RunConfig, rest: str) -> RunConfig:
    flags, rest = _flags(rest)
    kind, _, command = rest.partition(" ")
    if not kind:
        raise UsageError("HEALTHCHECK requires at least one argument")
    if kind.upper() == "NONE":
        if command.strip():
            raise UsageError("HEALTHCHECK NONE takes no arguments")
        return replace(config, healthcheck=Healthcheck(test=["NONE"]))
    if kind.upper() != "CMD":
        raise UsageError(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    if not command.strip():
        raise UsageError("Missing command after HEALTHCHECK CMD")
    listed = _json_list(command.strip())
    test = ["CMD", *listed] if listed is not None else ["CMD-SHELL", command.strip()]
    tries = retries(flags.pop("retries", ""))
    durations = {name: duration(name, flags.pop(name.replace("_", "-"), "")) for name in DURATIONS}
    if flags:
        raise UsageError(f"Unknown flag: {next(iter(flags))}")
    return replace(config, healthcheck=Healthcheck(test=test, retries=tries, **durations))


INSTRUCTIONS: dict[str, Callable[[RunConfig, str], RunConfig]] = {
    "cmd": _cmd,
    "entrypoint": _entrypoint,
    "env": _env,
    "expose": _expose,
    "healthcheck": _healthcheck,
    "label": _label,
    "onbuild": _onbuild,
    "stopsignal": _stopsignal,
    "user": _user,
    "volume": _volume,
    "workdir": _workdir,
}
DURATIONS = ("interval", "timeout", "start_period", "start_interval")


# Arguments


def _command(rest: str) -> list[str]:
    """The exec form, or the shell form."""
    listed = _json_list(rest)
    if listed is not None:
        return listed
    return ["/bin/sh", "-c", rest] if rest else ["/bin/sh", "-c"]


def _json_list(text: str) -> list[str] | None:
    """A JSON list of strings; None for what isn't one, which is then a shell's line."""
    try:
        return msgspec.json.decode(text, type=list[str])
    except (msgspec.MsgspecError, RecursionError):
        return None


def _one(name: str, rest: str) -> str:
    if not rest:
        raise UsageError(f"{name} requires exactly one argument")
    return rest


def _some(name: str, rest: str, env: list[str]) -> list[str]:
    if not rest:
        raise UsageError(f"{name} requires at least one argument")
    return [word for raw in split_words(rest) for word in expand(raw, env).split()]


def _pairs(name: str, rest: str, env: list[str]) -> list[tuple[str, str]]:
    """NAME=VALUE …, or the old form NAME VALUE with one value up to the end of the line."""
    if not rest:
        raise UsageError(f"{name} requires at least one argument")
    words = split_words(rest)
    if "=" not in words[0]:
        key, _, value = rest.partition(" ")
        if not value.strip():
            raise UsageError(f"{name} must have two arguments")
        return [(expand(key, env), expand(value.strip(), env))]
    pairs = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value')
        if not key:
            raise UsageError(f"{name} names can not be blank")
        pairs.append((expand(key, env), expand(value, env)))
    return pairs


def ports_of(word: str) -> list[str]:
    """80, 80/tcp or 8000-8010/udp → 80/tcp …"""
    ports, _, protocol = word.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol not in ("tcp", "udp", "sctp"):
        raise UsageError(f"Invalid proto: {protocol}")
    ports = ports.rpartition(":")[2]  # a host's part, as in -p, is allowed and means nothing
    first, _, last = ports.partition("-")
    last = last or first
    if not (first.isdigit() and last.isdigit() and int(first) <= int(last) <= 65535):
        raise UsageError(f"Invalid containerPort: {ports}")
    return [f"{port}/{protocol}" for port in range(int(first), int(last) + 1)]


def _flags(rest: str) -> tuple[dict[str, str], str]:
    flags = {}
    while rest.startswith("--"):
        word, _, rest = rest.partition(" ")
        name, equals, value = word[2:].partition("=")
        if not equals or not value:
            raise UsageError(f"Missing a value on flag: {name}")
        flags[name] = value
        rest = rest.strip()
    return flags, rest


def retries(text: str) -> int:
    """0 when not given: the engine's default."""
    if text and (not text.isdigit() or int(text) < 1):
        raise UsageError(f"--retries must be at least 1 (not {text})")
    return int(text or 0)


def duration(name: str, text: str) -> int:
    """Go's notation, 1m30s, in nanoseconds; 0 when not given."""
    if not text:
        return 0
    if not re.fullmatch(f"(?:{DURATION.pattern})+", text):
        raise UsageError(f'time: invalid duration "{text}"')
    total = sum(int(float(number) * UNITS[unit]) for number, unit in DURATION.findall(text))
    if total < UNITS["ms"]:
        raise UsageError(f'Interval "{name.replace("_", "-")}" cannot be less than 1ms')
    return total


def is_signal(word: str) -> bool:
    if word.isdigit():
        return 1 <= int(word) <= 64
    name = word.upper().removeprefix("SIG")
    return f"SIG{name}" in signal.Signals.__members__ or re.fullmatch(r"RTM(IN(\+\d+)?|AX(-\d+)?)", name) is not None
