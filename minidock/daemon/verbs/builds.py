"""Builds, told as Docker's classic builder tells them: programs look for its "Successfully built"."""

from __future__ import annotations

import io
import os
import re
import signal
import time
from typing import NoReturn

import msgspec

from minidock.daemon.lines import Lines, lines
from minidock.daemon.spawner import Reply
from minidock.daemon.verbs.common import Arguments, Verb, said
from minidock.engine import Engine
from minidock.engine.build_request import BuildRequest
from minidock.errors import BuildFailed
from minidock.model.host import HostConfig

STEP = re.compile(r"\[.*?\d+/\d+\] (?P<text>.*)", re.DOTALL)
RED, PLAIN = "\x1b[91m", "\x1b[0m"
"""Around what a command says on its stderr: to one stream of text there is no other way to tell."""


USING_CACHE = " ---> Using cache\n"


class Classic:
    """`Step 2/3 : RUN make`, what it says, and ` ---> Using cache`. Nothing of what goes on around the instructions."""

    def __init__(self, told: Lines, quiet: bool) -> None:
        self.told = told
        self.quiet = quiet
        self.shown: set[str] = set()
        self.bases: set[str] = set()
        self.count = 0

    def instruction(self, text: str, total: int) -> None:
        self.count += 1
        if not self.quiet:
            self.told.stream(f"Step {self.count}/{total} : {text}\n")

    def configured(self, cached: bool) -> None:
        if cached and not self.quiet:
            self.told.stream(USING_CACHE)

    def begin(self, step: str, text: str) -> None:
        found = STEP.fullmatch(text)
        if found and not self.quiet:
            self.shown.add(step)
            self.bases |= {step} if found["text"].startswith("FROM ") else set()

    def log(self, step: str, data: bytes, stderr: bool = False) -> None:
        if step in self.shown:
            text = data.decode(errors="replace")
            self.told.stream(f"{RED}{text}{PLAIN}" if stderr else text)

    def done(self, step: str, cached: bool = False, error: str = "") -> None:
        if step in self.shown - self.bases and cached:
            self.told.stream(USING_CACHE)


FAILURE = re.compile(r'process "(?P<command>.*)" did not complete successfully: exit code: (?P<code>\d+).*', re.DOTALL)


def classic_failure(message: str) -> tuple[int, str]:
    """The exit code that `docker build` ends with, and the words."""
    found = FAILURE.fullmatch(message)
    if not found:
        return 1, message
    return int(found["code"]), f"The command '{found['command']}' returned a non-zero code: {found['code']}"


def build(engine: Engine, given: Arguments, reply: Reply) -> object:
    """The context comes by the second descriptor. A client that goes ends the build, as a Ctrl-c would."""
    signal.signal(signal.SIGIO, _interrupted)
    quiet, auths, remote = given.pop("quiet"), given.pop("auths"), given.pop("remote")
    given["limits"] = msgspec.convert(said(given["limits"]), HostConfig)
    given["build_args"] = {name: value for name, value in given["build_args"].items() if value is not None}
    request = BuildRequest(context=remote or "-", auths=auths, only_cache_from=True, **given)
    with lines(reply) as told, os.fdopen(reply.descriptors[1], "rb") as source:
        try:
            built = engine.build(
                request, stdin=source, stdout=io.BytesIO(), tell=Classic(told, quiet), tick=lambda: None
            )
        except BuildFailed as failed:
            code, message = classic_failure(failed.message)
            told.say(errorDetail={"code": code, "message": message}, error=message)
            return None
        except KeyboardInterrupt:
            return None
        if built.unused_args and not quiet:
            told.stream(f"[Warning] One or more build-args {built.unused_args} were not consumed\n")
        if quiet:
            told.stream(f"{built.image_id}\n")
        else:
            told.say(aux={"ID": built.image_id})
            told.stream(f"Successfully built {built.image_id.removeprefix('sha256:')[:12]}\n")
            for name in built.names:
                told.stream(f"Successfully tagged {name.removeprefix('docker.io/').removeprefix('library/')}\n")
    return None


def _interrupted(number: int, _: object) -> NoReturn:
    raise KeyboardInterrupt


def prune_build_cache(engine: Engine, given: Arguments, reply: Reply) -> object:
    until = given["filters"].get("until")
    older = time.time() - float(until[0]) if until else None
    gone, freed = engine.prune_build_cache(all=given["all"], older_than=older, keep_bytes=given["keep_bytes"])
    return {"CachesDeleted": gone or None, "SpaceReclaimed": freed}


VERBS: dict[str, Verb] = {
    "build": build,
    "prune_build_cache": prune_build_cache,
}
