"""RUN as a stage sees it: what is executed, with which environment, and the mounts that it has meanwhile."""

from __future__ import annotations

import contextlib
import fcntl
import os
import posixpath
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from minidock.digests import hex_digest
from minidock.errors import DockerfileError, MinidockError
from minidock.image.manifest import RunConfig

from . import copying, fetching, transfer
from .commands import Run
from .config import shell_of
from .grammar import Word
from .ignore import Ignore
from .lines import heredoc_of
from .mounts import RunMount
from .relay import relay
from .stages import Scope
from .state import MountPlan, RunRequest, State
from .tree import Tree
from .upper import Looks, Upper

if TYPE_CHECKING:
    from .solve import Job

PIPES = "/dev/pipes"
"""Where a heredoc that begins with #! appears as a file."""
AGENT = "/run/buildkit/ssh_agent"
SECRETS = "/run/secrets"


class Prepared(msgspec.Struct, frozen=True):
    """`request` without layers and mounts; `mounts()` gives those for as long as they are needed."""

    request: RunRequest
    mounts: Callable[[], AbstractContextManager[list[MountPlan]]]
    key: list[object]


def script_of(command: Run, config: RunConfig) -> list[str]:
    """The argument vector. Heredocs after the line are for the shell, but for one that is all there is."""
    if command.exec is not None:
        return command.exec
    line = command.line
    if command.at.heredocs:
        alone = heredoc_of(line)
        if alone is not None:
            document = command.at.heredocs[0]
            if document.data.startswith("#!"):
                return [f"{PIPES}/{document.name}"]
            line = document.data
        else:
            line = "\n".join([line, *(f"{each.content}{each.name}" for each in command.at.heredocs)])
    return [*shell_of(config), line]


def prepared(job: Job, command: Run, scope: Scope, state: State, others: dict[int, State]) -> Prepared:
    """Raises DockerfileError that points at a mount that can't be had."""
    plain = plain_request(job, command, scope, state)
    argv, env, cwd, network = plain.argv, plain.env, plain.cwd, plain.network
    makers = [_maker(job, command, mount, number, scope, others) for number, mount in enumerate(command.mounts)]
    document = command.at.heredocs[0] if argv and argv[0].startswith(f"{PIPES}/") and command.at.heredocs else None
    key: list[object] = [argv, env, cwd, state.config.user, network, [maker.key for maker in makers]]
    key += [document.data if document else "", command.insecure, command.devices]
    known = {line.partition("=")[0] for line in state.config.env}
    hidden = [f"{name}={value}" for name, value in scope.proxies().items() if name not in known]

    @contextlib.contextmanager
    def mounts() -> Iterator[list[MountPlan]]:
        with ExitStack() as stack:
            rows = [row for maker in makers for row in maker.make(stack)]
            if document is not None:
                rows.append(MountPlan("secret", argv[0], data=document.data.encode(), mode=0o755))
            yield rows

    extra = [line for maker in makers for line in maker.env]
    return Prepared(msgspec.structs.replace(plain, env=[*env, *hidden, *extra]), mounts, key)


def plain_request(job: Job, command: Run, scope: Scope, state: State) -> RunRequest:
    """What is in it without its mounts, and without the variables that no key has."""
    env = [line for line in state.config.env if "=" in line]
    known = {line.partition("=")[0] for line in env}
    env += [f"{name}={value}" for name, value in sorted(scope.args.items()) if name not in known]
    argv = script_of(command, state.config)
    network = command.network if command.at.values("network") else job.options.network
    cwd, user = state.config.working_dir or "/", state.config.user
    return RunRequest([], argv, env, cwd, user, network, [], command.insecure, command.devices)


class _Maker(msgspec.Struct, frozen=True):
    """One mount: what the cache's key has of it, variables that come with it, and how to make it."""

    key: list[object]
    make: Callable[[ExitStack], list[MountPlan]]
    env: list[str] = []


def _maker(job: Job, command: Run, mount: RunMount, number: int, scope: Scope, others: dict[int, State]) -> _Maker:
    word = Word(f"--mount={mount.flag.value}", mount.flag.at)

    def text(value: str) -> str:
        return scope.expand(command, word, value)

    try:
        if mount.type == "bind":
            return _bind(job, mount, text, others)
        if mount.type == "cache":
            return _cache(job, mount, text, others)
        if mount.type == "tmpfs":
            plan = MountPlan("tmpfs", text(mount.target), size=mount.size)
            return _Maker(["tmpfs", plan.target], lambda _: [plan])
        return _secret(job, mount, text) if mount.type == "secret" else _agent(job, mount, text, number)
    except DockerfileError:
        raise
    except MinidockError as error:
        raise command.at.error(f"RUN --mount failed: {error.message}", word, hint=error.hint, parsed=True) from error


Text = Callable[[str], str]


def _bind(job: Job, mount: RunMount, text: Text, others: dict[int, State]) -> _Maker:
    """Files of the context, a stage or an image. They are copied: what is written to them is gone afterwards. What is
    only read is mounted as it lies there, when it is root's already: a context's files are, whoever has them."""
    tree, ignore = job.context.tree, job.context.ignore
    if mount.source_stage:
        tree, ignore = transfer.source_files(job, mount.source_stage, others)
    source, target = text(mount.source) or "/", text(mount.target)
    try:
        piece = _one(tree, source, ignore)
    except MinidockError as error:
        why = "" if mount.source_stage else transfer.why_missing(job.context, source)
        raise MinidockError(error.message, hint=error.hint or why) from error
    readonly = mount.readonly is not False

    def make(stack: ExitStack) -> list[MountPlan]:
        there = tree.layers[0].joinpath(*piece.parts)
        direct = tree.plain and readonly and not ignore.rules and _is_roots(there)
        path = there if direct else _copied(stack, job.scratch, piece)
        return [MountPlan("bind", target, source=str(path), readonly=readonly)]

    return _Maker(["bind", target, readonly, copying.checksum([piece], owners=not tree.plain)], make)


def _one(tree: Tree, source: str, ignore: Ignore) -> copying.Piece:
    pieces = copying.find(tree, source, ignore, Ignore())
    if len(pieces) != 1:
        raise MinidockError(f"{source}: {len(pieces)} files", hint="the source of a mount is one file or directory")
    return pieces[0]


def _is_roots(path: Path) -> bool:
    """Whether all of it is root's, as a container with the host's users sees it."""

    def of_root(one: str | Path) -> bool:
        facts = os.lstat(one)
        return facts.st_uid == facts.st_gid == 0

    below = (os.path.join(at, name) for at, folders, names in os.walk(path) for name in (*folders, *names))
    return of_root(path) and all(map(of_root, below))


def _copied(stack: ExitStack, scratch: Path, piece: copying.Piece) -> Path:
    place = fetching.scratch(scratch)
    stack.callback(_discard, place)
    with Upper(place, []) as upper:
        name = "file" if not piece.is_directory else "directory"
        owner = (0, 0) if piece.tree.plain else None
        copying.copy(upper, [piece], copying.Target(f"/{name}", False), Looks(owner), Looks())
    return place / name


def _discard(place: Path) -> None:
    from minidock.image.layers import discard

    discard(place)


def _cache(job: Job, mount: RunMount, text: Text, others: dict[int, State]) -> _Maker:
    """A directory that outlives the build. `locked` is one RUN at a time; `private` a directory of one's own."""
    target = text(mount.target)
    identity = text(mount.id) or target
    readonly = bool(mount.readonly)

    def make(stack: ExitStack) -> list[MountPlan]:
        base = job.cache_mounts / hex_digest(f"{identity}\0{mount.source_stage}".encode())[:32]
        path = _claimed(stack, base, mount.sharing)
        if not path.is_dir():
            path.mkdir(parents=True, mode=0o755)
            os.chown(path, mount.uid, mount.gid)
            path.chmod(0o755 if mount.mode is None else mount.mode)
            if mount.source_stage:
                tree, ignore = transfer.source_files(job, mount.source_stage, others)
                pieces = copying.find(tree, text(mount.source) or "/", ignore, Ignore())
                with Upper(path, []) as upper:
                    copying.copy(upper, pieces, copying.Target("/", True), Looks(), Looks())
        path.with_suffix(".name").write_text(f"{identity}\n")
        return [MountPlan("cache", target, source=str(path), readonly=readonly, uid=mount.uid, gid=mount.gid)]

    return _Maker(["cache", target, identity], make)


def _claimed(stack: ExitStack, base: Path, sharing: str) -> Path:
    """The directory, once it may be used: a lock beside it says who does."""
    base.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for number in range(1000):
        path = base if not number else base.with_name(f"{base.name}-{number}")
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, lock)
        if sharing == "private":
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
        else:
            fcntl.flock(lock, fcntl.LOCK_EX if sharing == "locked" else fcntl.LOCK_SH)
        return path
    raise MinidockError(f"more than 1000 builds use the cache mount {base.name}")


def _secret(job: Job, mount: RunMount, text: Text) -> _Maker:
    """A file that only this RUN sees, or a variable; no key, no layer and no history has it."""
    identity = text(mount.id) or text(mount.source) or posixpath.basename(text(mount.target))
    given = job.options.secrets.get(identity)
    if given is None:
        if mount.required:
            raise MinidockError(f"secret {identity}: not found", hint=f"give it with --secret id={identity},src=FILE")
        return _Maker(["secret", identity], lambda _: [])
    data = _secret_data(given.file, given.env)
    target = text(mount.target)
    env = []
    if mount.env is not None:
        env = [f"{mount.env or identity}={data.decode(errors='surrogateescape')}"]
        if not target:
            return _Maker(["secret", identity, mount.env], lambda _: [], env)
    target = target or f"{SECRETS}/{identity}"
    mode = 0o400 if mount.mode is None else mount.mode
    plan = MountPlan("secret", posixpath.join("/", target), data=data, mode=mode, uid=mount.uid, gid=mount.gid)
    return _Maker(["secret", identity, target, mode, mount.uid, mount.gid], lambda _: [plan], env)


def _secret_data(file: str, env: str) -> bytes:
    if env:
        if env not in os.environ:
            raise MinidockError(f"the environment has no variable {env}")
        return os.environb[os.fsencode(env)]
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise MinidockError(f"failed to stat {file}: {(error.strerror or '').lower()}") from None


def _agent(job: Job, mount: RunMount, text: Text, number: int) -> _Maker:
    """The caller's ssh agent: a socket that leads to it, for as long as the RUN lasts."""
    identity = text(mount.id) or "default"
    target = text(mount.target) or f"{AGENT}.{number}"
    socket = job.options.ssh.get(identity)
    if socket is None:
        if mount.required:
            raise MinidockError(f"unset ssh forward key {identity}", hint=f"give it with --ssh {identity}=SOCKET")
        return _Maker(["ssh", identity], lambda _: [])
    mode = 0o600 if mount.mode is None else mount.mode

    def make(stack: ExitStack) -> list[MountPlan]:
        place = fetching.scratch(job.scratch)
        path = stack.enter_context(relay(socket, place, mode=mode, owner=(mount.uid, mount.gid)))
        return [MountPlan("ssh", target, source=str(path), uid=mount.uid, gid=mount.gid)]

    key: list[object] = ["ssh", identity, target, mode, mount.uid, mount.gid]
    return _Maker(key, make, [f"SSH_AUTH_SOCK={target}"])
