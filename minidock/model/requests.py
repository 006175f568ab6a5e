"""What a verb of a container's is asked, and what it answers."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

import msgspec

from minidock.model.base import Api
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig
from minidock.model.network import EndpointSettings


class CreateRequest(msgspec.Struct, frozen=True):
    """All that `create` and `run` need: what the API's POST /containers/create carries."""

    config: ContainerConfig
    host_config: HostConfig
    name: str = ""
    platform: str = ""
    endpoints: dict[str, EndpointSettings] = {}
    """Networks to join by name, with what was asked for on each (--ip, --network-alias)."""


class ExecRequest(msgspec.Struct, frozen=True):
    """All that `exec` needs: API `ExecConfig`. `user`, `working_dir` empty: as the container's."""

    cmd: list[str]
    tty: bool = False
    attach_stdin: bool = False
    detach: bool = False
    detach_keys: str = ""
    env: list[str] = []
    user: str = ""
    working_dir: str = ""
    privileged: bool = False
    console_size: tuple[int, int] = (0, 0)
    """Rows and columns; zeros for those of our own terminal."""


class Commit(msgspec.Struct, frozen=True):
    """What the new image is to be called and to say of itself; `changes` are instructions of a Dockerfile.

    What `config` says comes before what the container says.
    """

    reference: str = ""
    author: str = ""
    message: str = ""
    changes: list[str] = []
    pause: bool = True
    config: ContainerConfig = ContainerConfig()


class PathStat(msgspec.Struct, frozen=True, rename="camel"):
    """API's X-Docker-Container-Path-Stat: a path in a container; `mode` in the bits of Go's os.FileMode."""

    name: str
    size: int
    mode: int
    mtime: str
    link_target: str = ""


class Created(Api, frozen=True):
    """Answer to create."""

    id: str
    warnings: list[str] = []
