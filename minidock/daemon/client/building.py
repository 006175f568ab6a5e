"""build by another daemon: the context travels as a tar, what happens comes back as lines of JSON."""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import msgspec

from minidock.daemon.client.api import Api, without_nulls
from minidock.daemon.client.files import Reader
from minidock.engine.build_request import BuildRequest, Built
from minidock.errors import BuildFailed, MinidockError, Unsupported

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from minidock.build.state import Tell

STEP = re.compile(r"Step (\d+)/(\d+) : (.*)", re.DOTALL)
IMAGE = "sha256:"
CACHED = " ---> Using cache"
RED, PLAIN = "\x1b[91m", "\x1b[0m"
"""Around what a command has said on its stderr."""


def build(api: Api, request: BuildRequest, *, stdin: BinaryIO, tell: Tell, tick: Callable[[], None]) -> Built:
    """Raises BuildFailed with what the daemon says, Unsupported for what the API has no words for."""
    from minidock.engine import build_context

    _check(request)
    tell.begin("context", "[internal] load build context")
    with tempfile.TemporaryDirectory(prefix="minidock-context-") as scratch:
        source = build_context.source(request.context, request.file, stdin, Path(scratch))
        tell.done("context")
        query = {**_query(request), "dockerfile": source.dockerfile, "remote": source.address}
        if source.pack is not None:
            found: list[Built] = []
            # The answer begins when the context is there: it is read while the pipe is still ours.
            build_context.send_through(source.pack, lambda read: found.append(_built(api, query, read, tell, tick)))
            [built] = found
        else:
            built = _built(api, query, source.read, tell, tick)
    return msgspec.structs.replace(built, names=request.tags)


def _check(request: BuildRequest) -> None:
    kinds = {output.kind for output in request.outputs} - {"image"}
    refused = (
        (request.secrets, "--secret"),
        (request.ssh, "--ssh"),
        (request.allow, "--allow"),
        (request.contexts, "--build-context"),
        (kinds, "--output"),
        (request.no_cache_stages, "--no-cache-filter"),
        (request.inline_cache, "--cache-to"),
    )
    for given, flag in refused:
        if given:
            raise Unsupported(
                f"build {flag} can't be asked of a daemon", hint="leave out -H, DOCKER_HOST and the context"
            )


def _query(request: BuildRequest) -> dict[str, object]:
    limits = request.limits
    return {
        "t": request.tags,
        "buildargs": _json(request.build_args),
        "labels": _json(request.labels),
        "target": request.target,
        "platform": request.platform,
        "pull": request.pull,
        "nocache": request.no_cache,
        "cachefrom": _json(request.cache_from),
        "networkmode": request.network,
        "extrahosts": ",".join(limits.extra_hosts),
        "ulimits": _json(limits.ulimits),
        "shmsize": limits.shm_size or None,
        "memory": limits.memory or None,
        "memswap": limits.memory_swap or None,
        "cpushares": limits.cpu_shares or None,
        "cpuperiod": limits.cpu_period or None,
        "cpuquota": limits.cpu_quota or None,
        "cpusetcpus": limits.cpuset_cpus,
        "cpusetmems": limits.cpuset_mems,
        "cgroupparent": limits.cgroup_parent,
        "squash": request.squash,
        "rm": True,
        "version": "1",
    }


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode() if value else ""


def _built(
    api: Api, query: dict[str, object], read: Callable[[int], bytes] | None, tell: Tell, tick: Callable[[], None]
) -> Built:
    from minidock.engine import registries

    auths = base64.urlsafe_b64encode(msgspec.json.encode(registries.all_auths())).decode()
    upload = cast("BinaryIO", Reader(read)) if read else None
    answer = api.open("POST", "/build", query, upload=upload, headers={"X-Registry-Config": auths})
    return Built(_told(api, answer, tell, tick))


def _told(api: Api, answer: HTTPResponse, tell: Tell, tick: Callable[[], None]) -> str:
    """The image's id. Each `Step 1/3 : …` ends the one before it."""
    image, steps = "", _Steps(tell)
    with steps.guarded():
        for message in api.messages(answer):
            tick()
            image = str((message.get("aux") or {}).get("ID") or image)
            steps.take(str(message.get("stream") or _status(message)))
    if not image:
        raise MinidockError("the daemon has ended the build without an image")
    return image


def _status(message: dict[str, Any]) -> str:
    """A pull's lines, without those that only count bytes."""
    if "status" not in message or message.get("progressDetail"):
        return ""
    return f"{message.get('id', '')} {message['status']}\n".lstrip()


class _Steps:
    """Turns the classic builder's stream of text into steps."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self.current = ""
        self.text = ""
        self.cached = False

    def take(self, text: str) -> None:
        if found := STEP.match(text):
            self.end()
            number, total, self.text = found[1], found[2], found[3].strip()
            self.current, self.cached = number, False
            self.tell.begin(number, f"[{number}/{total}] {self.text}")
        elif text.startswith(CACHED):
            self.cached = True
        elif self.current and text and not text.startswith((" ---> ", "Removing intermediate", "Successfully ")):
            stderr = text.startswith(RED)
            self.tell.log(self.current, text.removeprefix(RED).removesuffix(PLAIN).encode(), stderr)

    def end(self, error: str = "") -> None:
        if self.current:
            self.tell.done(self.current, cached=self.cached, error=error)
        self.current = ""

    @contextmanager
    def guarded(self) -> Iterator[None]:
        try:
            yield
        except MinidockError as error:
            self.end(error.message)
            raise BuildFailed(error.message) from error
        self.end()


def prune(api: Api, *, everything: bool, older_than: float | None, keep_bytes: int) -> tuple[list[str], int]:
    filters = {"until": [f"{older_than}s"]} if older_than is not None else {}
    query = {"all": everything, "keep-storage": keep_bytes or None, "filters": filters}
    found = without_nulls(api.json("POST", "/build/prune", query))
    return found.get("CachesDeleted", []), found.get("SpaceReclaimed", 0)
