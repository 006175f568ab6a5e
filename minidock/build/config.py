"""Instructions that change nothing but the configuration: one function each, from a config to the next.

Each returns the new config, and what the image's history says of it.
"""

from __future__ import annotations

import json
import os.path
from collections.abc import Callable

import msgspec

from minidock.errors import MinidockError
from minidock.image import changes
from minidock.image.manifest import RunConfig
from minidock.model.container import Healthcheck

from .commands import Command, Health, OnBuild, One, Pairs, Shell, ShellOrExec, Words
from .stages import Scope

replace = msgspec.structs.replace
DEFAULT_SHELL = ["/bin/sh", "-c"]
Changed = tuple[RunConfig, str]


def quoted(words: list[str]) -> str:
    """A list as Go's %q writes it: ["a" "b"]."""
    return "[" + " ".join(json.dumps(word, ensure_ascii=False) for word in words) + "]"


def shell_of(config: RunConfig) -> list[str]:
    return config.shell or DEFAULT_SHELL


def _env(config: RunConfig, command: Pairs, scope: Scope) -> Changed:
    env = list(config.env)
    said: list[str] = []
    # All values are expanded before any of them is set, as in Docker: ENV A=1 B=$A gives B what A was before.
    raw = [(word, name, value) for name, value, word in command.pairs]
    pairs = [(scope.expand(command, word, name), scope.expand(command, word, value)) for word, name, value in raw]
    for name, value in pairs:
        if not name:
            raise command.at.error("ENV names can not be blank", command.pairs[0][2])
        env = changes.set_env(env, name, value)
        scope.env[name] = value
        said.append(f"{name}={value}")
    return replace(config, env=env), "ENV " + " ".join(said)


def _label(config: RunConfig, command: Pairs, scope: Scope) -> Changed:
    labels = dict(config.labels)
    for name, value, word in command.pairs:
        labels[scope.expand(command, word, name)] = scope.expand(command, word, value)
    said = [f"{name}={value}" for name, value in labels.items() if config.labels.get(name) != value]
    return replace(config, labels=labels), "LABEL " + " ".join(said)


def _cmd(config: RunConfig, command: ShellOrExec, _: Scope) -> Changed:
    argv = command.exec if command.exec is not None else [*shell_of(config), command.line]
    return replace(config, cmd=argv), f"CMD {quoted(argv)}"


def _entrypoint(config: RunConfig, command: ShellOrExec, scope: Scope) -> Changed:
    """A CMD of the image below meant that image's entrypoint; one of this stage stays."""
    argv: list[str] | None = command.exec if command.exec is not None else [*shell_of(config), command.line]
    if not command.line or argv == []:
        argv = None
    return replace(config, entrypoint=argv), f"ENTRYPOINT {quoted(argv or [])}"


def _expose(config: RunConfig, command: Words, scope: Scope) -> Changed:
    ports = dict(config.exposed_ports)
    named: list[str] = []
    for word in command.words:
        try:
            for text in scope.expand(command, word).split():
                named += changes.ports_of(text)
        except MinidockError as error:
            raise command.at.error(error.message, word) from None
    ports |= {port: {} for port in named}
    return replace(config, exposed_ports=ports), f"EXPOSE [{' '.join(sorted(named))}]"


def _volume(config: RunConfig, command: Words, scope: Scope) -> Changed:
    words = [scope.expand(command, word) for word in command.words]
    for word, text in zip(command.words, words, strict=True):
        if not text.strip():
            raise command.at.error("VOLUME specified can not be an empty string", word)
    return replace(config, volumes={**config.volumes, **{word: {} for word in words}}), f"VOLUME [{' '.join(words)}]"


def _user(config: RunConfig, command: One, scope: Scope) -> Changed:
    user = scope.expand(command, command.word)
    return replace(config, user=user), f"USER {user}"


def _stopsignal(config: RunConfig, command: One, scope: Scope) -> Changed:
    signal = scope.expand(command, command.word)
    if not changes.is_signal(signal):
        raise command.at.error(f"Invalid signal: {signal}", command.word)
    return replace(config, stop_signal=signal), f"STOPSIGNAL {signal}"


def _shell(config: RunConfig, command: Shell, _: Scope) -> Changed:
    return replace(config, shell=command.shell), f"SHELL [{' '.join(command.shell)}]"


def _health(config: RunConfig, command: Health, scope: Scope) -> Changed:
    if command.none:
        return replace(config, healthcheck=Healthcheck(test=["NONE"])), 'HEALTHCHECK &{["NONE"]}'
    test = ["CMD", *command.exec] if command.exec is not None else ["CMD-SHELL", command.line]
    at = command.at
    times = {
        name.replace("-", "_"): changes.duration(name, at.flag(name))
        for name in ("interval", "timeout", "start-period", "start-interval")
    }
    found = Healthcheck(test=test, retries=changes.retries(at.flag("retries")), **times)
    return replace(config, healthcheck=found), f"HEALTHCHECK &{{{quoted(test)}}}"


def _onbuild(config: RunConfig, command: OnBuild, _: Scope) -> Changed:
    return replace(config, on_build=[*config.on_build, command.trigger]), f"ONBUILD {command.trigger}"


CHANGES: dict[str, Callable[..., Changed]] = {
    "ENV": _env,
    "LABEL": _label,
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "EXPOSE": _expose,
    "VOLUME": _volume,
    "USER": _user,
    "STOPSIGNAL": _stopsignal,
    "SHELL": _shell,
    "HEALTHCHECK": _health,
    "ONBUILD": _onbuild,
}


def workdir(config: RunConfig, command: Command, path: str) -> str:
    """Relative to the working directory so far."""
    # join() lets an absolute path win; a second slash in front, which normpath keeps, means nothing here.
    return "/" + os.path.normpath(os.path.join("/", config.working_dir, path)).lstrip("/")
