"""Docker's verbs. This file is the table of contents: each method names the module that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from minidock.steps import SILENT, Narrator

if TYPE_CHECKING:
    from minidock.build.state import Tell
    from minidock.engine.build_request import BuildRequest, Built, Checked
    from minidock.engine.foretell import Foretold
    from minidock.model import (
        BuildCache,
        CdiListing,
        Commit,
        ContainersPruned,
        ContainerStats,
        ContainerSummary,
        Created,
        CreateRequest,
        Diagnosis,
        DiskUsage,
        EndpointSettings,
        Event,
        ExecRequest,
        HistoryRow,
        ImageSummary,
        KernelSection,
        NetworkRequest,
        PathStat,
        Progress,
        Pruned,
        Volume,
    )
    from minidock.paths import Layout
    from minidock.runtime.planned import Plan

Filters = dict[str, list[str]]


class Engine:
    """One instance (a --root), without a daemon. Modules are imported by the verb that needs them: starting is fast."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    # a container's life

    def create(self, request: CreateRequest) -> Created:
        """Write a container down. Raises ImageNotFound, NameInUse, UsageError."""
        from minidock.engine import create

        return create.create(self.layout, request)

    def start(self, ref: str, *, narrator: Narrator = SILENT) -> None:
        """Run it in the background, under its shim."""
        from minidock.engine import run

        run.start_detached(self.layout, ref, narrator=narrator)

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
        """Run it with our own streams; its exit code, or 0 when the user detached."""
        from minidock.engine import run

        streams = run.Streams(stdin, stdout, stderr, detach_keys, sig_proxy)
        return run.start_attached(self.layout, ref, streams, narrator=narrator)

    def attach(self, ref: str, *, stdin: bool, detach_keys: str = "", sig_proxy: bool = True) -> int | None:
        """Our own streams as those of a running container; its exit code, or None when the user detached."""
        from minidock.engine import run

        return run.attach_to(self.layout, ref, run.Streams(stdin, True, True, detach_keys, sig_proxy))

    def start_held(self, ref: str) -> int | None:
        """Run it; a connection to its shim that sees all output, and is to clean up. None when it runs already."""
        from minidock.engine import run

        return run.start_held(self.layout, ref)

    def connect(self, ref: str) -> int:
        """A further connection to a running container's shim. Raises Conflict."""
        from minidock.engine import run

        return run.connect(self.layout, ref)

    def stop(self, ref: str, *, timeout: int | None = None, signal: str = "") -> None:
        """SIGTERM or the container's own stop signal, patience, SIGKILL."""
        from minidock.engine import stop

        stop.stop(self.layout, ref, timeout=timeout, signal=signal)

    def restart(self, ref: str, *, timeout: int | None = None, signal: str = "") -> None:
        """Stop it and start it again."""
        from minidock.engine import restart

        restart.restart(self.layout, ref, timeout=timeout, signal=signal)

    def kill(self, ref: str, *, signal: str = "KILL") -> None:
        """Send any signal. Raises NotRunning."""
        from minidock.engine import stop

        stop.kill(self.layout, ref, signal=signal)

    def pause(self, ref: str) -> None:
        """Let it stand still. Raises Conflict."""
        from minidock.engine import pause

        pause.pause(self.layout, ref)

    def unpause(self, ref: str) -> None:
        from minidock.engine import pause

        pause.unpause(self.layout, ref)

    def rename(self, ref: str, name: str) -> None:
        """Raises NameInUse."""
        from minidock.engine import rename

        rename.rename(self.layout, ref, name)

    def update(self, ref: str, changes: dict[str, Any]) -> list[str]:
        """Other limits: members of HostConfig by field, where given. Warnings; raises UsageError, Conflict."""
        from minidock.engine import update

        return update.update(self.layout, ref, changes)

    def wait(self, ref: str) -> int:
        """Sleep until it ends; its exit code."""
        from minidock.engine import stop

        return stop.wait(self.layout, ref)

    def remove(
        self,
        ref: str,
        *,
        force: bool = False,
        volumes: bool = False,
        link: bool = False,
        narrator: Narrator = SILENT,
    ) -> None:
        """Raises Conflict for a running one, unless forced. `link`: only the link whose name it is."""
        if link:
            from minidock.engine import link_names

            link_names.remove(self.layout, ref)
            return
        from minidock.engine import stop

        stop.remove(self.layout, ref, force=force, volumes=volumes, narrator=narrator)

    def prune_containers(self, filters: Filters | None = None) -> ContainersPruned:
        """Remove all that don't run; `until` are Unix seconds."""
        from minidock.engine import prune

        return prune.containers(self.layout, filters or {})

    def exec(
        self, ref: str, request: ExecRequest, *, sig_proxy: bool = True, narrator: Narrator = SILENT
    ) -> int | None:
        """One more command inside; its exit code, 0 when it runs detached, None when the user has detached.

        Raises Conflict when the container doesn't run.
        """
        from minidock.engine import execs

        return execs.execute(self.layout, ref, request, sig_proxy=sig_proxy, narrator=narrator)

    def exec_create(self, ref: str, request: ExecRequest, *, outputs: tuple[bool, bool]) -> str:
        """Write a command down that is to run inside; its id. `outputs`: whether stdout and stderr are wanted."""
        from minidock.engine import exec_sessions

        return exec_sessions.create(self.layout, ref, request, outputs)

    def exec_start(self, id: str, *, detach: bool, size: tuple[int, int]) -> int | None:
        """Run it; the connection to its shim, None when detached."""
        from minidock.engine import exec_sessions

        return exec_sessions.start(self.layout, id, detach, size)

    def exec_inspect(self, id: str) -> dict[str, Any]:
        """API `ExecInspectResponse`. Raises NotFound."""
        from minidock.engine import exec_sessions

        return exec_sessions.inspect(self.layout, id)

    def cleanup(self, container_id: str, exec_id: str = "") -> None:
        """What a shim becomes in the end: finish the container, or the exec in it, when nobody else did."""
        from minidock.errors import ContainerNotFound

        try:
            if exec_id:
                from minidock.engine import execs

                execs.finish(self.layout, container_id, exec_id)
            else:
                from minidock.engine import finish

                finish.finish(self.layout, container_id)
        except ContainerNotFound:
            return  # somebody was quicker

    def revive(self, container_id: str, finished_at: str) -> None:
        """What a container's waiter becomes: the start that its restart policy wants after that end."""
        from minidock.engine import restart

        restart.revive(self.layout, container_id, finished_at)

    def probe(self, container_id: str) -> int:
        """One health check, when its shim says that it is time; what the shim needs to know, as an exit code."""
        from minidock.engine import health

        return health.probe(self.layout, container_id)

    def restore(self) -> list[str]:
        """After a reboot: start what should be up by its restart policy; the ids of those."""
        from minidock.engine import restart

        return restart.restore(self.layout)

    # looking at containers

    def containers(
        self, *, all: bool = False, last: int = 0, filters: Filters | None = None, size: bool = False
    ) -> list[ContainerSummary]:
        """Newest first; only running ones without `all`."""
        from minidock.engine import ps

        return ps.containers(self.layout, everything=all, last=last, filters=filters or {}, size=size)

    def inspect(self, ref: str) -> dict[str, Any]:
        """API `ContainerInspectResponse`."""
        from minidock.engine import inspect

        return inspect.container(self.layout, ref)

    def kernel_side(self, ref: str) -> list[KernelSection]:
        """What the kernel has of it: namespaces, cgroup, mounts, network, rights. Raises NotRunning."""
        from minidock.engine import kernel_side

        return kernel_side.sections(self.layout, ref)

    def explain(self, words: str) -> list[Diagnosis]:
        """Why a container failed, or what an error means. Raises UsageError for what says nothing."""
        from minidock.engine import explain

        return explain.explain(self.layout, words)

    def stats(self, refs: list[str], *, all: bool = False, once: bool = False) -> Iterator[list[ContainerStats]]:
        """What they use, a list each second; of all that run without `refs`."""
        from minidock.engine import stats

        return stats.stream(self.layout, refs, everything=all, once=once)

    def raw_stats(self, ref: str, *, stream: bool, one_shot: bool = False) -> Iterator[dict[str, Any]]:
        """API `ContainerStatsResponse`: the kernel's counters now and before; one, or one each second while it's there.

        `one_shot` doesn't wait for a second look.
        """
        from minidock.engine import raw_stats

        return raw_stats.stream(self.layout, ref, endless=stream, one_shot=one_shot)

    def top(self, ref: str, options: list[str]) -> tuple[list[str], list[list[str]]]:
        """Titles and rows of ps, with its options."""
        from minidock.engine import top

        return top.top(self.layout, ref, options)

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
        """Chunks of (stream, bytes); times are Unix seconds."""
        from minidock.engine import logs

        return logs.of_container(
            self.layout,
            ref,
            follow=follow,
            tail=tail,
            since=since,
            until=until,
            timestamps=timestamps,
            details=details,
        )

    def log_problem(self, ref: str) -> str:
        """Why lines are missing in a running container's log, a full disk for instance; empty when none are."""
        from minidock.engine import logs

        return logs.problem(self.layout, ref)

    # a container's files

    def changes(self, ref: str) -> list[tuple[str, str]]:
        """Rows of (A, C or D; path): what differs from the image."""
        from minidock.engine import changes

        return changes.diff(self.layout, ref)

    def export(self, ref: str, out: BinaryIO) -> None:
        """The whole tree as a tar."""
        from minidock.engine import changes

        changes.export(self.layout, ref, out)

    def copy_in(self, source: str | BinaryIO, ref: str, target: str, *, own: bool = False, follow: bool = False) -> int:
        """A path of this machine, or a tar, into the container; bytes of tar that went through."""
        from minidock.engine import copying

        if isinstance(source, str):
            return copying.into(self.layout, source, ref, target, own=own, follow=follow)
        copying.stream_into(self.layout, source, ref, target, own=own)
        return 0

    def copy_out(self, ref: str, source: str, target: str | BinaryIO, *, follow: bool = False) -> int:
        """A path of the container to this machine, or as a tar; bytes of tar that went through."""
        from minidock.engine import copying

        if isinstance(target, str):
            return copying.out_of(self.layout, ref, source, target, follow=follow)
        copying.stream_out_of(self.layout, ref, source, target, follow=follow)
        return 0

    def stat_path(self, ref: str, path: str) -> PathStat:
        """API HEAD /containers/ID/archive. Raises NotFound."""
        from minidock.engine import archive

        return archive.stat_path(self.layout, ref, path)

    def read_archive(self, ref: str, path: str, write: Callable[[bytes], object]) -> None:
        """API GET /containers/ID/archive: a tar, in pieces to `write`."""
        from minidock.engine import archive

        archive.read(self.layout, ref, path, write)

    def write_archive(
        self, ref: str, path: str, read: Callable[[int], bytes], *, own: bool = False, strict: bool = False
    ) -> None:
        """API PUT /containers/ID/archive. `own` is copyUIDGID, `strict` noOverwriteDirNonDir."""
        from minidock.engine import archive

        archive.write(self.layout, ref, path, read, own=own, strict=strict)

    def commit(self, ref: str, wanted: Commit) -> str:
        """An image of what it has become; the new id."""
        from minidock.engine import changes

        return changes.commit(self.layout, ref, wanted)

    # telling without doing

    def dry_run(self, request: CreateRequest, *, say: Callable[[str], None]) -> Plan:
        """The plan of a container that nobody creates; needs no root, nor the image."""
        from minidock.engine import script

        return script.dry_run(self.layout, request, say)

    def as_shell(self, request: CreateRequest) -> str:
        """A script for sh, util-linux, iproute2, nft and hostname that makes the same container."""
        from minidock.engine import script

        return script.as_shell(self.layout, request)

    def foretell_exec(self, ref: str, request: ExecRequest) -> Foretold:
        """What exec would do, as steps and as a script; nothing is done."""
        from minidock.engine import foretell

        return foretell.execution(self.layout, ref, request)

    def foretell_remove(self, ref: str, *, force: bool = False) -> Foretold:
        """The same of remove."""
        from minidock.engine import foretell

        return foretell.removal(self.layout, ref, force=force)

    def foretell_network(self, asked: NetworkRequest) -> Foretold:
        """The same of create_network."""
        from minidock.engine import foretell

        return foretell.network(self.layout, asked)

    def foretell_pull(self, name: str, *, platform: str = "") -> Foretold:
        """The same of pull: the registry is asked for its documents."""
        from minidock.engine import foretell

        return foretell.pull(self.layout, name, platform=platform)

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
        """Have it, or make it from a recipe, or pull it. Raises ImageNotFound, RegistryError."""
        from minidock.engine import ensure

        ensure.ensure(self.layout, name, policy=policy, platform=platform, say=say, tell=tell)

    def images(self, *, all: bool = False, filters: Filters | None = None) -> list[ImageSummary]:
        """Newest first; without `all` none that is only what another was made from."""
        from minidock.engine import image_list

        return image_list.summaries(self.layout, everything=all, filters=filters or {})

    def history(self, ref: str) -> list[HistoryRow]:
        """How it came to be, newest first."""
        from minidock.engine import image_list

        return image_list.history(self.layout, ref)

    def inspect_image(self, ref: str) -> dict[str, Any]:
        """API `ImageInspect`."""
        from minidock.engine import images

        return images.inspect(self.layout, ref)

    def tag(self, source: str, target: str) -> None:
        from minidock.engine import images

        images.tag(self.layout, source, target)

    def remove_image(self, ref: str, *, force: bool = False, prune: bool = True) -> list[tuple[str, str]]:
        """Rows of ("Untagged" | "Deleted", what). Raises ImageInUse."""
        from minidock.engine import image_remove

        return image_remove.remove(self.layout, ref, force=force, prune=prune)

    def prune_images(self, filters: Filters) -> tuple[list[tuple[str, str]], int]:
        """Rows as above, and the bytes freed. With dangling=false all that no container needs."""
        from minidock.engine import image_remove

        return image_remove.prune(self.layout, filters)

    def platform(self, image_id: str) -> str:
        """What an image runs on: linux/amd64."""
        from minidock.image.store import ImageStore

        return ImageStore(self.layout).find(image_id).platform

    def content_size(self, image_id: str) -> int:
        """Bytes of an image as it travels."""
        from minidock.engine import usage

        return usage.content_size(self.layout, image_id)

    def load(self, source: BinaryIO | Path, *, platform: str = "", say: Callable[[str], None]) -> list[str]:
        from minidock.engine import images

        return images.load(self.layout, source, platform=platform, say=say)

    def save(self, names: list[str], out: BinaryIO) -> None:
        from minidock.engine import images

        images.save(self.layout, names, out)

    def import_image(
        self, source: BinaryIO, *, reference: str | None, message: str, changes: list[str], platform: str
    ) -> str:
        """The new image's id."""
        from minidock.engine import images

        return images.import_tar(self.layout, source, reference, message, changes, platform)

    # volumes

    def create_volume(self, name: str, *, driver: str, options: dict[str, str], labels: dict[str, str]) -> Volume:
        """An empty name is drawn by lot; one that is there stays as it is."""
        from minidock.engine import volume_store

        return volume_store.create(self.layout, name, driver, options, labels)

    def volumes(self, *, filters: Filters | None = None) -> list[Volume]:
        """By name."""
        from minidock.engine import volume_store

        return volume_store.ls(self.layout, filters or {})

    def inspect_volume(self, name: str) -> Volume:
        """API `Volume`. Raises NotFound."""
        from minidock.engine import volume_store

        return volume_store.inspect(self.layout, name)

    def remove_volume(self, name: str, *, force: bool = False) -> None:
        """Raises Conflict while a container has it."""
        from minidock.engine import volume_store

        volume_store.remove(self.layout, name, force=force)

    def prune_volumes(self, *, filters: Filters | None = None) -> tuple[list[str], int]:
        """Names and bytes of anonymous volumes that no container has; with the filter all=1 of others too."""
        from minidock.engine import volume_store

        return volume_store.prune(self.layout, filters or {})

    # networks

    def create_network(self, asked: NetworkRequest, *, narrator: Narrator = SILENT) -> str:
        """The new network's id; its bridge is up by then."""
        from minidock.engine import networks

        return networks.create(self.layout, asked, narrator=narrator)

    def networks(self, *, filters: Filters | None = None) -> list[dict[str, Any]]:
        """API `Network`s, by name."""
        from minidock.engine import networks

        return networks.ls(self.layout, filters or {})

    def inspect_network(self, ref: str) -> dict[str, Any]:
        """API `Network`, with the containers on it. Raises NetworkNotFound."""
        from minidock.engine import networks

        return networks.inspect(self.layout, ref)

    def remove_network(self, ref: str, *, force: bool = False) -> None:
        """Raises Conflict while a container runs on it."""
        from minidock.engine import networks

        networks.remove(self.layout, ref, force=force)

    def prune_networks(self, *, filters: Filters | None = None) -> list[str]:
        """Names of those that no container is to be on; with nothing running the default bridge goes too."""
        from minidock.engine import networks

        return networks.prune(self.layout, filters or {})

    def connect_network(self, network: str, ref: str, asked: EndpointSettings) -> None:
        """One more network for a container, running or not."""
        from minidock.engine import connect

        connect.connect(self.layout, network, ref, asked)

    def disconnect_network(self, network: str, ref: str, *, force: bool = False) -> None:
        from minidock.engine import connect

        connect.disconnect(self.layout, network, ref, force=force)

    def examine_network(self) -> list[dict[str, str]]:
        """What on this host is in the way of packets; each with level, about, text and advice."""
        import msgspec

        from minidock.network import doctor

        return [msgspec.to_builtins(finding) for finding in doctor.examine(self.layout)]

    # devices

    def cdi_devices(self, directories: list[str] | None = None) -> CdiListing:
        """What the CDI files of these directories offer, or of the instance's own, and what is wrong with them."""
        from minidock.engine import device_requests

        return device_requests.listing(self.layout, directories)

    def examine_gpus(self, directories: list[str] | None = None) -> list[dict[str, str]]:
        """What is between a container and a GPU of this host; each with level, about, text and advice."""
        import msgspec

        from minidock.engine import device_requests, gpu_doctor

        found = gpu_doctor.examine(directories or device_requests.directories(self.layout))
        return [msgspec.to_builtins(finding) for finding in found]

    def generate_cdi(self, vendor: str = "", root: str = "/") -> bytes:
        """A CDI file for the GPUs below `root`, as JSON. Raises NotFound when no driver is there."""
        from minidock.engine import cdi_generate

        return cdi_generate.as_json(vendor, root)

    # registries

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
        """The familiar name of what came; `auth` is API `AuthConfig`, None asks config.json. Raises RegistryError."""
        from minidock.engine import registries

        return registries.pull(
            self.layout, name, all_tags=all_tags, platform=platform, tell=tell, auth=auth, narrator=narrator
        )

    def push(
        self,
        name: str,
        *,
        all_tags: bool = False,
        tell: Callable[[Progress], None],
        auth: dict[str, str] | None = None,
    ) -> None:
        from minidock.engine import registries

        registries.push(self.layout, name, all_tags=all_tags, tell=tell, auth=auth)

    def login(self, server: str, username: str = "", password: str = "") -> str:
        """Check and keep who we are, or check what is kept; the file where the password can be read, if it can."""
        from minidock.engine import registries

        return registries.login(self.layout, server, username, password)

    def check_login(self, server: str, who: dict[str, str]) -> str:
        """Keep nothing; a token that is better kept than the password, or nothing. `who` is API `AuthConfig`."""
        from minidock.engine import registries

        return registries.check_login(self.layout, server, who)

    def distribution(self, name: str, *, auth: dict[str, str] | None = None) -> dict[str, Any]:
        """API `DistributionInspect`. Raises RegistryError."""
        from minidock.engine import registries

        return registries.distribution(self.layout, name, auth)

    def known_user(self, server: str) -> str:
        from minidock.engine import registries

        return registries.known_user(server)

    def logout(self, server: str) -> str:
        from minidock.engine import registries

        return registries.logout(server)

    def search(self, term: str, *, limit: int = 0) -> list[dict[str, Any]]:
        """API `ImageSearchResponse`."""
        from minidock.engine import registries

        return registries.search(self.layout, term, limit)

    def inspect_manifest(self, name: str, *, listed: str = "", verbose: bool = False, insecure: bool = False) -> Any:  # noqa: ANN401
        """What a registry has under the name, without pulling it, or a list that is being made: JSON."""
        from minidock.engine import manifests

        return manifests.inspect(self.layout, name, listed=listed, verbose=verbose, insecure=insecure)

    def create_manifest_list(self, target: str, images: Sequence[str], *, amend: bool, insecure: bool) -> str:
        """Its full name. Such lists are the user's, in the directory of config.json, until they are pushed."""
        from minidock.engine import manifests

        return manifests.create(self.layout, target, images, amend=amend, insecure=insecure)

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

        return manifests.push(self.layout, target, insecure=insecure, purge=purge, say=say)

    def remove_manifest_list(self, target: str) -> None:
        from minidock.engine import manifests

        manifests.remove(target)

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
        """An image from a Dockerfile. Raises DockerfileError, BuildFailed. `tick` is called a few times a second."""
        from minidock.engine import build

        return build.build(self.layout, request, stdin=stdin, stdout=stdout, tell=tell, tick=tick, narrator=narrator)

    def check_build(self, request: BuildRequest, *, stdin: BinaryIO) -> Checked:
        """What the lint rules say of a Dockerfile. Raises DockerfileError."""
        from minidock.engine import build

        return build.check(self.layout, request, stdin=stdin)

    def build_cache(self) -> list[BuildCache]:
        """Every entry of the build cache: for `system df`."""
        from minidock.engine import build_cache

        return build_cache.rows(self.layout)

    def prune_build_cache(
        self, *, all: bool, older_than: float | None = None, keep_bytes: int = 0
    ) -> tuple[list[str], int]:
        """Keys of the entries that are gone, and the bytes that this freed."""
        from minidock.engine import build_cache

        return build_cache.prune(self.layout, everything=all, older_than=older_than, keep_bytes=keep_bytes)

    # the system

    def events(
        self, *, since: float | None = None, until: float | None = None, filters: Filters | None = None
    ) -> Iterator[Event]:
        """Past ones when a time is given, then new ones as they come; times are Unix seconds."""
        from minidock.engine import events

        return events.read(self.layout, since=since, until=until, filters=filters)

    def version(self) -> dict[str, Any]:
        from minidock.engine import info

        return info.version()

    def info(self) -> dict[str, Any]:
        from minidock.engine import info

        return info.info(self.layout)

    def disk_usage(self) -> DiskUsage:
        """API GET /system/df."""
        from minidock.engine import usage

        return usage.disk_usage(self.layout)

    def prune(self, *, all: bool = False, volumes: bool = False, filters: Filters | None = None) -> Pruned:
        """Containers that don't run, networks without any, images without name or use, the build cache; with `volumes`
        anonymous volumes."""
        from minidock.engine import usage

        return usage.prune(self.layout, everything=all, volumes=volumes, filters=filters or {})
