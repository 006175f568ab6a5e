"""What a build passes around: the state of a stage, what a RUN needs, whom to tell what happens."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from minidock.image.manifest import History, RunConfig
from minidock.image.store import Layer

from .entitlements import Device


class State(msgspec.Struct, frozen=True):
    """A stage so far, or an image that one begins with. `layers` lowest first."""

    config: RunConfig = RunConfig()
    layers: list[Layer] = []
    history: list[History] = []
    author: str = ""
    created: str = ""
    architecture: str = ""
    os: str = "linux"
    variant: str = ""
    used_args: list[str] = []
    """Build arguments that some ARG asked for."""

    @property
    def diff_ids(self) -> list[str]:
        return [layer.diff_id for layer in self.layers]


class MountPlan(msgspec.Struct, frozen=True):
    """One mount of a RUN. `source` is a path of the host for `bind`, `cache` and `ssh`; `data` what a secret says;
    `size` is a tmpfs's."""

    kind: str
    target: str
    source: str = ""
    data: bytes = b""
    mode: int = 0o400
    uid: int = 0
    gid: int = 0
    size: int = 0
    readonly: bool = False


class RunRequest(msgspec.Struct, frozen=True):
    """All that a RUN needs. `lower` are directories, top first; `insecure` is all rights."""

    lower: list[str]
    argv: list[str]
    env: list[str]
    cwd: str
    user: str
    network: str
    mounts: list[MountPlan]
    insecure: bool = False
    devices: list[Device] = []


Log = Callable[[bytes, bool], None]
"""Told what a command has said, and whether on its stderr."""
Take = Callable[[Path], Layer]
Run = Callable[[RunRequest, Log, Take], Layer]
"""Runs the command in a container; when it ends with 0 its upper directory is given to Take. Raises RunFailed."""


class RunFailed(Exception):
    """The command's exit code, and what the kernel has to say about it."""

    def __init__(self, code: int, why: str = "") -> None:
        super().__init__(f"exit code: {code}")
        self.code = code
        self.why = why


class Tell(Protocol):
    """Somebody who is told what happens. `step` is a name of one thing done, the same in all calls about it."""

    def begin(self, step: str, text: str) -> None: ...
    def log(self, step: str, data: bytes, stderr: bool = False) -> None: ...
    def done(self, step: str, cached: bool = False, error: str = "") -> None: ...

    # As the classic builder counts: what only changes the configuration is no step, but is an instruction.

    def instruction(self, text: str, total: int) -> None: ...
    def configured(self, cached: bool) -> None: ...


class Secret(msgspec.Struct, frozen=True):
    """--secret: read when it is used."""

    file: str = ""
    env: str = ""


class Options(msgspec.Struct, frozen=True):
    """What the command line asks of all stages. `epoch` is SOURCE_DATE_EPOCH."""

    no_cache: bool = False
    no_cache_stages: list[str] = []
    inline_cache: bool = False
    labels: dict[str, str] = {}
    network: str = "default"
    epoch: int | None = None
    secrets: dict[str, Secret] = {}
    ssh: dict[str, str] = {}
    """Id → the agent's socket."""
