"""A stage's instructions, one after another: from the state of its base to its own.

Each instruction that makes files makes one layer, by RUN, COPY, ADD or WORKDIR, unless the cache has it. The others
change the configuration only. Everything that a RUN does happens in a container (`Job.run`, lent by the engine).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from minidock.errors import BuildFailed, DockerfileError, MinidockError
from minidock.image.buildcache import CacheEntry
from minidock.image.importer import rfc3339
from minidock.image.layers import workplace
from minidock.image.manifest import History
from minidock.image.store import ImageStore, Layer

from . import commands, config, grammar, transfer
from .cache import INLINE, Cache, key_of
from .commands import Arg, Command, Copy, One, Run, ShellOrExec
from .context import Context
from .failures import failed, failure, shown
from .named import Files
from .runs import Prepared, prepared, script_of
from .stages import PREDEFINED, Plan, Scope, Stage
from .state import Options, RunFailed, State, Tell
from .state import Run as RunContainer
from .tree import Tree

replace = msgspec.structs.replace
LAYERED = ("RUN", "COPY", "ADD", "WORKDIR")
MOST_LAYERS = 127
"""Layers of an image. overlayfs takes 500, but mount(2) has one page of options to name them in; Docker makes 125."""


class Job(msgspec.Struct, frozen=True):
    """What all stages of a build share. `image` gives the state of an image by name, made or pulled when absent."""

    plan: Plan
    context: Context
    store: ImageStore
    cache: Cache
    options: Options
    run: RunContainer
    image: Callable[[str, str], State]
    tell: Tell
    scratch: Path
    contexts: dict[str, Files]
    """Those of --build-context that are needed, by name."""
    cache_mounts: Path
    """Where the directories of RUN --mount=type=cache are kept."""

    def announce(self, text: str) -> None:
        """One more instruction, of all that there are."""
        self.tell.instruction(text, self.plan.count(bool(self.options.labels)))


def solve_stage(job: Job, stage: Stage, base: State, others: dict[int, State]) -> State:
    """Raises DockerfileError, BuildFailed, MinidockError."""
    return Building(job, stage, base, others).all()


class Building:
    """One stage being built."""

    def __init__(self, job: Job, stage: Stage, base: State, others: dict[int, State]) -> None:
        self.job = job
        self.stage = stage
        self.others = others
        self.state = base
        self.scope = Scope(job.plan, base.config.env)
        triggers = self._triggers(base)
        self.triggers = len(triggers)
        self.commands = [*triggers, *stage.commands]
        self.cmd_here = False
        names = job.options.no_cache_stages
        self.fresh = job.options.no_cache or stage.title in names or str(stage.index) in names
        self.made = 1 + sum(command.at.keyword in LAYERED for command in self.commands)
        self.count = 1

    def _triggers(self, base: State) -> list[Command]:
        """What the image below keeps for whoever builds on it; it is not inherited further."""
        found = []
        for number, text in enumerate(base.config.on_build, 1):
            try:
                file = grammar.parse(
                    text.encode(errors="surrogateescape"), f"ONBUILD trigger {number} of the base image"
                )
                found += [commands.read(instruction) for instruction in file.instructions]
            except DockerfileError as error:
                raise self.stage.begin.at.error(f"ONBUILD trigger {text!r}: {error.message}") from error
        self.state = replace(base, config=replace(base.config, on_build=[]))
        return found

    def all(self) -> State:
        for number, command in enumerate(self.commands):
            if number >= self.triggers:
                self.job.announce(shown(command))
            try:
                self._one(command)
            except (DockerfileError, BuildFailed):
                raise
            except (MinidockError, OSError) as error:
                raise failed(error, command) from error
        if self.stage.index == self.job.plan.target.index:
            self._label()
        return replace(self.state, used_args=sorted({*self.state.used_args, *self.scope.used}))

    def _label(self) -> None:
        """--label."""
        given = sorted(self.job.options.labels.items())
        if given:
            self.job.announce(f"LABEL {' '.join(f'{name}={value}' for name, value in given)}")
            for name, value in given:
                labels = {**self.state.config.labels, name: value}
                self.state = replace(self.state, config=replace(self.state.config, labels=labels))
                self._note(f"LABEL {name}={value}")

    def _one(self, command: Command) -> None:
        keyword = command.at.keyword
        if isinstance(command, Arg):
            self.scope.declare(command)
            args = self.scope.args
            said = [f"{name}={args[name]}" if name in args else name for name, _, _ in command.args]
            self._note(f"ARG {' '.join(said)}")
        elif isinstance(command, Run):
            self._run(command)
        elif isinstance(command, Copy):
            self._copy(command)
        elif keyword == "WORKDIR" and isinstance(command, One):
            self._workdir(command)
        elif keyword == "MAINTAINER" and isinstance(command, One):
            self.state = replace(self.state, author=command.word.text)
            self._note(f"MAINTAINER {command.word.text}")
        else:
            self._configure(command)

    # Configuration only

    def _configure(self, command: Command) -> None:
        changed, said = config.CHANGES[command.at.keyword](self.state.config, command, self.scope)
        if isinstance(command, ShellOrExec):
            if command.at.keyword == "CMD":
                self.cmd_here = True
            elif not self.cmd_here:
                changed = replace(changed, cmd=None)  # it was meant for the entrypoint below
        self.state = replace(self.state, config=changed)
        self._note(said)

    def _note(self, said: str) -> None:
        """A line of the history without a layer. When it was first made is remembered, so that its image stays the
        same one."""
        before = [entry.created_by for entry in self.state.history]
        key = key_of("config", self.state.diff_ids, self.state.config, before, said)
        after = self._cached(key, said)
        self.job.tell.configured(after is not None)
        if after is None:
            entry = CacheEntry(said, rfc3339(time.time_ns()))
            self.job.cache.write(key, entry)
            after = self._after(said, entry.created, None, key)
        self.state = after

    def _cached(self, key: str, said: str) -> State | None:
        """The state after an instruction that was done before."""
        found = None if self.fresh else self.job.cache.find(key)
        if found is None:
            return None
        after = self._after(said, found.created, found.layer and self._fitting(found.layer), key)
        return after if self.job.cache.trusts(after) else None

    def _after(self, said: str, when: str, layer: Layer | None, key: str) -> State:
        created = self._date(when)
        comment = f"{INLINE}{key}" if self.job.options.inline_cache else "minidock"
        entry = History(created=created, created_by=said, comment=comment, empty_layer=layer is None)
        layers = self.state.layers if layer is None else [*self.state.layers, layer]
        return replace(self.state, layers=layers, history=[*self.state.history, entry], created=created)

    def _date(self, created: str) -> str:
        epoch = self.job.options.epoch
        return created if epoch is None else rfc3339(epoch * 1_000_000_000)

    # Layers

    def _layer(self, command: Command, key: str, said: str, make: Callable[[str], Layer]) -> None:
        """The layer of the cache, or a new one. `make` is given the name of the step, for its messages."""
        self.count += 1
        title = self.stage.name or (f"stage-{self.stage.index} " if len(self.job.plan.needs) > 1 else "")
        step = f"{self.stage.index}/{self.count}"
        self.job.tell.begin(
            step, f"[{f'{title} '.lstrip()}{self.count}/{self.made}] {shown(command)}".replace("  ", " ")
        )
        after = self._cached(key, said)
        if after is not None:
            self.job.tell.done(step, cached=True)
            self.state = after
            return
        try:
            layer = make(step)
            record = self.job.store.layer(layer.diff_id)
            # Nothing has changed: no layer says so.
            kept = None if record is not None and not record.entries else self._fitting(layer)
        except RunFailed as ended:
            assert isinstance(command, Run)
            told = failure(command, script_of(command, self.state.config), ended)
            self.job.tell.done(step, error=told.message)
            raise told from None
        except (MinidockError, OSError) as error:
            self.job.tell.done(step, error=failed(error, command).message)
            raise
        created = rfc3339(time.time_ns())
        self.job.cache.write(key, CacheEntry(said, created, kept, record.size if record else 0))
        self.job.tell.done(step)
        self.state = self._after(said, created, kept, key)

    def _fitting(self, layer: Layer) -> Layer:
        """Raises MinidockError in Docker's words when there are too many below it."""
        if len(self.state.layers) >= MOST_LAYERS:
            hint = f"an image has at most {MOST_LAYERS} layers: let fewer RUN, COPY and ADD do the same"
            raise MinidockError("max depth exceeded", hint=hint)
        return layer

    def lower(self) -> list[Path]:
        return lower_dirs(self.job.store, self.state)

    def _run(self, command: Run) -> None:
        ready = prepared(self.job, command, self.scope, self.state, self.others)
        key = key_of("run", self.state.diff_ids, ready.key, self.job.options.epoch)
        args = [f"{name}={value}" for name, value in sorted(self.scope.args.items()) if name not in PREDEFINED]
        line = " ".join(script_of(command, self.state.config))
        said = "RUN " + (f"|{len(args)} {' '.join(args)} {line}" if args else line)

        def make(step: str) -> Layer:
            return self._in_container(ready, step)

        self._layer(command, key, said, make)

    def _in_container(self, ready: Prepared, step: str) -> Layer:
        def log(data: bytes, stderr: bool) -> None:
            self.job.tell.log(step, data, stderr)

        with ready.mounts() as mounts:
            request = replace(ready.request, lower=[str(path) for path in self.lower()], mounts=mounts)
            return self.job.run(request, log, self._commit)

    def _commit(self, upper: Path) -> Layer:
        return self.job.store.commit_layer(upper, packing="", move=True, clamp=self.job.options.epoch)

    def _copy(self, command: Copy) -> None:
        asked = transfer.asked(self.job, command, self.scope, self.state, self.others)
        parent: list[str] | None = None if asked.link else self.state.diff_ids
        key = key_of("copy 2", parent, asked.key, self.job.options.epoch)

        def make(step: str) -> Layer:
            return self._by_hand(lambda upper: transfer.perform(asked, upper, self.lower()))

        self._layer(command, key, shown(command), make)

    def _workdir(self, command: One) -> None:
        path = config.workdir(self.state.config, command, self.scope.expand(command, command.word))
        self.state = replace(self.state, config=replace(self.state.config, working_dir=path))
        user = self.state.config.user
        key = key_of("workdir", self.state.diff_ids, path, user, self.job.options.epoch)

        def make(step: str) -> Layer:
            return self._by_hand(lambda upper: transfer.make_directory(path, user, upper, self.lower()))

        self._layer(command, key, f"WORKDIR {path}", make)

    def _by_hand(self, fill: Callable[[Path], None]) -> Layer:
        place: AbstractContextManager[Path] = workplace(self.job.store)
        with place as scratch:
            upper = scratch / "upper"
            upper.mkdir(mode=0o755)
            upper.chmod(0o755)
            fill(upper)
            return self._commit(upper)


def lower_dirs(store: ImageStore, state: State) -> list[Path]:
    """The layers' directories, top first, each once; those that nothing shows through end the list."""
    dirs: list[Path] = []
    for diff_id in reversed(state.diff_ids):
        path = store.layer_path(diff_id) / "diff"
        if path not in dirs:
            dirs.append(path)
        record = store.layer(diff_id)
        if record is not None and record.opaque:
            break
    return dirs


def tree_of(store: ImageStore, state: State) -> Tree:
    return Tree(lower_dirs(store, state))
