"""The engine's verbs on another daemon: a table of contents like the engine's own.

mypy holds each method against Engine's. What isn't here would work on this host's files: it finds no `layout`, and says
so. tests/unit/test_remote_engine.py has the list of those that stay here, and no other may be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from minidock.daemon.client.api import Api, quoted
from minidock.daemon.client.endpoint import Endpoint
from minidock.engine import Engine, Filters
from minidock.errors import Unsupported
from minidock.steps import SILENT, Narrator

if TYPE_CHECKING:
    from minidock.build.state import Tell
    from minidock.engine.build_request import BuildRequest, Built
    from minidock.model import (
        BuildCache,
        Commit,
        ContainersPruned,
        ContainerStats,
        ContainerSummary,
        Created,
        CreateRequest,
        DiskUsage,
        EndpointSettings,
        Event,
        ExecRequest,
        HistoryRow,
        ImageSummary,
        NetworkRequest,
        Progress,
        Pruned,
        Volume,
    )


class RemoteEngine(Engine):
    """What the command line has instead of an Engine when -H, DOCKER_HOST or a context name a daemon."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.api = Api(endpoint)

    def __getattr__(self, name: str) -> NoReturn:
        """`layout` isn't set: a method that we don't have ends here, and touches nothing of this host."""
        if name == "layout":
            raise _only_here("this command works")
        raise AttributeError(name)

    # a container's life

    def create(self, request: CreateRequest) -> Created:
        from minidock.daemon.client import containers

        return containers.create(self.api, request)

    def start(self, ref: str, *, narrator: Narrator = SILENT) -> None:
        from minidock.daemon.client import containers

        _silent(narrator)
        containers.verb(self.api, ref, "start")

    def start_attached(
        self,
        ref: str,
        *,
        stdin: bool,
        stdout: bool = True,
        stderr: bool = True,
        detach_keys: str = "",
        sig_proxy: bool = True,
        narrator: Narrator = SILENT,
    ) -> int:
        from minidock.daemon.client import attached

        _silent(narrator)
        return attached.start(self.api, ref, attached.Wishes(stdin, stdout, stderr, detach_keys, sig_proxy))

    def attach(self, ref: str, *, stdin: bool, detach_keys: str = "", sig_proxy: bool = True) -> int | None:
        from minidock.daemon.client import attached

        return attached.attach(self.api, ref, attached.Wishes(stdin, True, True, detach_keys, sig_proxy))

    def stop(self, ref: str, *, timeout: int | None = None, signal: str = "") -> None:
        from minidock.daemon.client import containers

        containers.verb(self.api, ref, "stop", t=timeout, signal=signal)

    def restart(self, ref: str, *, timeout: int | None = None, signal: str = "") -> None:
        from minidock.daemon.client import containers

        containers.verb(self.api, ref, "restart", t=timeout, signal=signal)

    def kill(self, ref: str, *, signal: str = "KILL") -> None:
        from minidock.daemon.client import containers

        containers.verb(self.api, ref, "kill", signal=signal)

    def pause(self, ref: str) -> None:
        from minidock.daemon.client import containers

        containers.verb(self.api, ref, "pause")

    def unpause(self, ref: str) -> None:
        from minidock.daemon.client import containers

        containers.verb(self.api, ref, "unpause")

    def rename(self, ref: str, name: str) -> None:
        from minidock.daemon.client import containers

        containers.verb(self.api, ref, "rename", name=name)

    def update(self, ref: str, changes: dict[str, Any]) -> list[str]:
        from minidock.daemon.client import containers

        return containers.update(self.api, ref, changes)

    def wait(self, ref: str) -> int:
        from minidock.daemon.client import attached

        return attached.wait(self.api, ref)

    def remove(
        self,
        ref: str,
        *,
        force: bool = False,
        volumes: bool = False,
        link: bool = False,
        narrator: Narrator = SILENT,
    ) -> None:
        from minidock.daemon.client import containers

        _silent(narrator, "rm")
        containers.remove(self.api, ref, force=force, volumes=volumes, link=link)

    def prune_containers(self, filters: Filters | None = None) -> ContainersPruned:
        from minidock.daemon.client import containers

        return containers.prune(self.api, filters or {})

    def exec(
        self, ref: str, request: ExecRequest, *, sig_proxy: bool = True, narrator: Narrator = SILENT
    ) -> int | None:
        from minidock.daemon.client import attached, containers

        _silent(narrator, "exec")
        return attached.execute(self.api, ref, containers.exec_body(request))

    # a container's files

    def changes(self, ref: str) -> list[tuple[str, str]]:
        from minidock.daemon.client import files

        return files.changes(self.api, ref)

    def export(self, ref: str, out: BinaryIO) -> None:
        from minidock.daemon.client import files

        files.export(self.api, ref, out)

    def copy_in(self, source: str | BinaryIO, ref: str, target: str, *, own: bool = False, follow: bool = False) -> int:
        from minidock.daemon.client import files

        return files.copy_in(self.api, source, ref, target, own=own, follow=follow)

    def copy_out(self, ref: str, source: str, target: str | BinaryIO, *, follow: bool = False) -> int:
        from minidock.daemon.client import files

        return files.copy_out(self.api, ref, source, target, follow=follow)

    def commit(self, ref: str, wanted: Commit) -> str:
        from minidock.daemon.client import files

        return files.commit(self.api, ref, wanted)

    # looking at containers

    def containers(
        self, *, all: bool = False, last: int = 0, filters: Filters | None = None, size: bool = False
    ) -> list[ContainerSummary]:
        from minidock.daemon.client import containers

        return containers.listed(self.api, everything=all, last=last, filters=filters or {}, size=size)

    def inspect(self, ref: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.json("GET", f"/containers/{quoted(ref)}/json")
        return found

    def kernel_side(self, ref: str) -> NoReturn:
        raise _only_here("inspect --kernel works")

    def explain(self, words: str) -> NoReturn:
        raise _only_here("explain works")

    def stats(self, refs: list[str], *, all: bool = False, once: bool = False) -> Iterator[list[ContainerStats]]:
        from minidock.daemon.client import stats

        return stats.stream(self.api, refs, everything=all, once=once)

    def top(self, ref: str, options: list[str]) -> tuple[list[str], list[list[str]]]:
        from minidock.daemon.client import containers

        return containers.top(self.api, ref, options)

    def logs(
        self,
        ref: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
        timestamps: bool = False,
        details: bool = False,
    ) -> Iterator[tuple[int, bytes]]:
        from minidock.daemon.client import containers

        return containers.logs(
            self.api,
            ref,
            follow=follow,
            tail=tail,
            since=since,
            until=until,
            timestamps=timestamps,
            details=details,
        )

    def log_problem(self, ref: str) -> str:
        """The API has no words for it."""
        return ""

    # telling without doing

    def dry_run(self, request: CreateRequest, *, say: Callable[[str], None]) -> NoReturn:
        raise _only_here("run --dry-run works")

    def as_shell(self, request: CreateRequest) -> NoReturn:
        raise _only_here("run --as-shell works")

    def foretell_exec(self, ref: str, request: ExecRequest) -> NoReturn:
        raise _only_here("exec --dry-run and --as-shell work")

    def foretell_remove(self, ref: str, *, force: bool = False) -> NoReturn:
        raise _only_here("rm --dry-run and --as-shell work")

    def foretell_network(self, asked: NetworkRequest) -> NoReturn:
        raise _only_here("network create --dry-run and --as-shell work")

    def foretell_pull(self, name: str, *, platform: str = "") -> NoReturn:
        raise _only_here("pull --dry-run and --as-shell work")

    # images

    def ensure_image(
        self,
        name: str,
        *,
        policy: str,
        platform: str = "",
        say: Callable[[str], None],
        tell: Callable[[Progress], None],
    ) -> None:
        from minidock.daemon.client import images

        images.ensure(self.api, name, policy=policy, platform=platform, say=say, tell=tell)

    def images(self, *, all: bool = False, filters: Filters | None = None) -> list[ImageSummary]:
        from minidock.daemon.client import images

        return images.listed(self.api, everything=all, filters=filters or {})

    def inspect_image(self, ref: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.json("GET", f"/images/{quoted(ref)}/json")
        return found

    def tag(self, source: str, target: str) -> None:
        from minidock.daemon.client import images

        images.tag(self.api, source, target)

    def remove_image(self, ref: str, *, force: bool = False, prune: bool = True) -> list[tuple[str, str]]:
        from minidock.daemon.client import images

        return images.remove(self.api, ref, force=force, prune=prune)

    def history(self, ref: str) -> list[HistoryRow]:
        from minidock.daemon.client import images

        return images.history(self.api, ref)

    def prune_images(self, filters: Filters) -> tuple[list[tuple[str, str]], int]:
        from minidock.daemon.client import images

        return images.prune(self.api, filters)

    def platform(self, image_id: str) -> str:
        from minidock.daemon.client import images

        return images.platform(self.api, image_id)

    def content_size(self, image_id: str) -> int:
        """The API tells only what it takes unpacked."""
        return int(self.inspect_image(image_id)["Size"])

    def load(self, source: BinaryIO | Path, *, platform: str = "", say: Callable[[str], None]) -> list[str]:
        from minidock.daemon.client import images

        return images.load(self.api, source, platform=platform, say=say)

    def save(self, names: list[str], out: BinaryIO) -> None:
        from minidock.daemon.client import images

        images.save(self.api, names, out)

    def import_image(
        self, source: BinaryIO, *, reference: str | None, message: str, changes: list[str], platform: str
    ) -> str:
        from minidock.daemon.client import images

        return images.import_tar(
            self.api, source, reference=reference, message=message, changes=changes, platform=platform
        )

    # building

    def build(
        self,
        request: BuildRequest,
        *,
        stdin: BinaryIO,
        stdout: BinaryIO,
        tell: Tell,
        tick: Callable[[], None],
        narrator: Narrator = SILENT,
    ) -> Built:
        from minidock.daemon.client import building

        if narrator is not SILENT:
            raise _only_here("build --explain works")
        return building.build(self.api, request, stdin=stdin, tell=tell, tick=tick)

    def check_build(self, request: BuildRequest, *, stdin: BinaryIO) -> NoReturn:
        raise _only_here("build --check works")

    def build_cache(self) -> list[BuildCache]:
        from minidock.daemon.client import usage

        return usage.disk_usage(self.api).build_cache

    def prune_build_cache(
        self, *, all: bool, older_than: float | None = None, keep_bytes: int = 0
    ) -> tuple[list[str], int]:
        from minidock.daemon.client import building

        return building.prune(self.api, everything=all, older_than=older_than, keep_bytes=keep_bytes)

    # volumes

    def create_volume(self, name: str, *, driver: str, options: dict[str, str], labels: dict[str, str]) -> Volume:
        from minidock.daemon.client import volumes

        return volumes.create(self.api, name, driver, options, labels)

    def volumes(self, *, filters: Filters | None = None) -> list[Volume]:
        from minidock.daemon.client import volumes

        return volumes.listed(self.api, filters or {})

    def inspect_volume(self, name: str) -> Volume:
        from minidock.daemon.client import volumes

        return volumes.inspect(self.api, name)

    def remove_volume(self, name: str, *, force: bool = False) -> None:
        from minidock.daemon.client import volumes

        volumes.remove(self.api, name, force=force)

    def prune_volumes(self, *, filters: Filters | None = None) -> tuple[list[str], int]:
        from minidock.daemon.client import volumes

        return volumes.prune(self.api, filters or {})

    # networks

    def create_network(self, asked: NetworkRequest, *, narrator: Narrator = SILENT) -> str:
        from minidock.daemon.client import networks

        _silent(narrator, "network create")
        return networks.create(self.api, asked)

    def networks(self, *, filters: Filters | None = None) -> list[dict[str, Any]]:
        from minidock.daemon.client import networks

        return networks.listed(self.api, filters or {})

    def inspect_network(self, ref: str) -> dict[str, Any]:
        from minidock.daemon.client import networks

        return networks.inspect(self.api, ref)

    def remove_network(self, ref: str, *, force: bool = False) -> None:
        from minidock.daemon.client import networks

        networks.remove(self.api, ref)

    def prune_networks(self, *, filters: Filters | None = None) -> list[str]:
        from minidock.daemon.client import networks

        return networks.prune(self.api, filters or {})

    def connect_network(self, network: str, ref: str, asked: EndpointSettings) -> None:
        from minidock.daemon.client import networks

        networks.connect(self.api, network, ref, asked)

    def disconnect_network(self, network: str, ref: str, *, force: bool = False) -> None:
        from minidock.daemon.client import networks

        networks.disconnect(self.api, network, ref, force=force)

    def examine_network(self) -> NoReturn:
        raise _only_here("doctor network works")

    def cdi_devices(self, directories: list[str] | None = None) -> NoReturn:
        raise _only_here("cdi ls works")

    def examine_gpus(self, directories: list[str] | None = None) -> NoReturn:
        raise _only_here("doctor gpu works")

    def generate_cdi(self, vendor: str = "", root: str = "/") -> NoReturn:
        raise _only_here("cdi generate works")

    # registries: the daemon goes there, with what is kept here

    def pull(
        self,
        name: str,
        *,
        all_tags: bool = False,
        platform: str = "",
        tell: Callable[[Progress], None],
        auth: dict[str, str] | None = None,
        narrator: Narrator = SILENT,
    ) -> str:
        from minidock.daemon.client import registries

        _silent(narrator, "pull")
        return registries.pull(self.api, name, all_tags=all_tags, platform=platform, tell=tell, auth=auth)

    def push(
        self,
        name: str,
        *,
        all_tags: bool = False,
        tell: Callable[[Progress], None],
        auth: dict[str, str] | None = None,
    ) -> None:
        from minidock.daemon.client import registries

        registries.push(self.api, name, all_tags=all_tags, tell=tell, auth=auth)

    def login(self, server: str, username: str = "", password: str = "") -> str:
        from minidock.daemon.client import registries

        return registries.login(self.api, server, username, password)

    def search(self, term: str, *, limit: int = 0) -> list[dict[str, Any]]:
        from minidock.daemon.client import registries

        return registries.search(self.api, term, limit)

    def inspect_manifest(self, name: str, *, listed: str = "", verbose: bool = False, insecure: bool = False) -> Any:  # noqa: ANN401
        """As in Docker's client this is between us and the registry."""
        from minidock.engine import manifests
        from minidock.paths import from_environment

        return manifests.inspect(from_environment(""), name, listed=listed, verbose=verbose, insecure=insecure)

    def create_manifest_list(self, target: str, images: Sequence[str], *, amend: bool, insecure: bool) -> str:
        """Its full name. Such lists are the user's, in the directory of config.json, until they are pushed."""
        from minidock.engine import manifests
        from minidock.paths import from_environment

        return manifests.create(from_environment(""), target, images, amend=amend, insecure=insecure)

    def annotate_manifest(
        self, target: str, image: str, *, system: str, architecture: str, variant: str, version: str,
        features: Sequence[str],
    ) -> None:  # fmt: skip
        from minidock.engine import manifests

        manifests.annotate(
            target, image, system=system, architecture=architecture, variant=variant, version=version,
            features=features,
        )  # fmt: skip

    def push_manifest_list(self, target: str, *, insecure: bool, purge: bool, say: Callable[[str], None]) -> str:
        """The list's digest there. Raises NotFound, RegistryError."""
        from minidock.engine import manifests
        from minidock.paths import from_environment

        return manifests.push(from_environment(""), target, insecure=insecure, purge=purge, say=say)

    def remove_manifest_list(self, target: str) -> None:
        from minidock.engine import manifests

        manifests.remove(target)

    # the system

    def events(
        self, *, since: float | None = None, until: float | None = None, filters: Filters | None = None
    ) -> Iterator[Event]:
        import msgspec

        from minidock.model import Event

        times = {"since": since, "until": until}
        query = {name: "" if moment is None else f"{moment:.9f}" for name, moment in times.items()}
        answer = self.api.open("GET", "/events", {**query, "filters": filters or {}})
        return (msgspec.convert(message, Event) for message in self.api.messages(answer))

    def disk_usage(self) -> DiskUsage:
        from minidock.daemon.client import usage

        return usage.disk_usage(self.api)

    def prune(self, *, all: bool = False, volumes: bool = False, filters: Filters | None = None) -> Pruned:
        from minidock.daemon.client import usage

        return usage.prune(self.api, everything=all, volumes=volumes, filters=filters or {})

    def version(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.json("GET", "/version")
        return found

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.json("GET", "/info")
        return found


def _only_here(what: str) -> Unsupported:
    hint = "leave out -H, DOCKER_HOST and the context"
    return Unsupported(f"{what} only on the host itself, without a daemon", hint=hint)


def _silent(narrator: Narrator, verb: str = "run") -> None:
    if narrator is not SILENT:
        raise _only_here(f"{verb} --explain works")
