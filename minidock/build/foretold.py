"""A stage that is walked through and not built: which instructions the cache has, which would be done, and their shell.

Once one is not in the cache the layers of those after it aren't known, and so neither are their keys.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from minidock.image.buildcache import CacheEntry
from minidock.image.store import Layer

from . import byhand, config, fetching, transfer
from .cache import Cache
from .commands import Arg, Command, Copy, One, Run
from .failures import shown
from .named import Named
from .runs import plain_request
from .solve import Building, Job
from .stages import Stage, sources_of
from .state import State

CONFIGURED = "changes the configuration only"
DONE = "not in the cache: would be done"
UNKNOWN = "would be done, unless what is done before it comes out as it did once"


class Told(msgspec.Struct, frozen=True):
    """One instruction: as it is written, what becomes of it, and the lines that do it by hand."""

    keyword: str
    text: str
    fate: str
    lines: str


class Untouched(Cache):
    """The cache, of which nothing becomes younger."""

    def find(self, key: str) -> CacheEntry | None:
        return self.seen(key)

    def write(self, key: str, entry: CacheEntry) -> None:
        pass


class Walk(msgspec.Struct, frozen=True):
    """What came of a stage. `certain` when all its layers are in the cache."""

    state: State
    told: list[Told]
    certain: bool


def walk(job: Job, stage: Stage, base: State, others: dict[int, Walk], *, certain: bool) -> Walk:
    """`certain` says whether the layers of `base` are known. Raises DockerfileError, MinidockError."""
    found = _Walking(job, stage, base, others)
    found.certain = certain
    state = found.all()
    return Walk(state, found.told, found.certain)


class _Walking(Building):
    def __init__(self, job: Job, stage: Stage, base: State, others: dict[int, Walk]) -> None:
        super().__init__(job, stage, base, {index: each.state for index, each in others.items()})
        self.walks = others
        self.certain = True
        self.told: list[Told] = []
        self.fate = ""

    def _one(self, command: Command) -> None:
        lines = byhand.Lines(self.job, self.scope, self.state)
        self.fate = CONFIGURED
        done = ""
        if isinstance(command, Run):
            done = lines.run(command, plain_request(self.job, command, self.scope, self.state))
        elif isinstance(command, Copy):
            done = lines.copy(command)
        elif command.at.keyword == "WORKDIR" and isinstance(command, One):
            done = lines.workdir(config.workdir(self.state.config, command, self.scope.expand(command, command.word)))
        before = self.state.config
        super()._one(command)
        if not done and not isinstance(command, Arg):
            done = byhand.configured(before, self.state.config)
        self.told.append(Told(command.at.keyword, shown(command), self.fate, done))

    def _run(self, command: Run) -> None:
        if self._known(command):
            super()._run(command)
        else:
            self._uncertain()

    def _copy(self, command: Copy) -> None:
        fetched = [word for word in command.sources if fetching.is_address(word.text) or fetching.repository(word.text)]
        if not fetched and self._known(command):
            super()._copy(command)
            return
        if not fetched and not command.at.flag("from"):
            transfer.asked(self.job, command, self.scope, self.state, self.others)  # what is missing is told now
        self._uncertain()

    def _known(self, command: Command) -> bool:
        """Whether the files that it takes from elsewhere are there to be looked at."""
        for each, source in sources_of(self.job.plan, self.stage):
            if each is command and isinstance(source, int) and not self.walks[source].certain:
                return False
            if each is command and isinstance(source, Named):
                return False
        return self.certain

    def _uncertain(self) -> None:
        self.fate, self.certain = UNKNOWN, False

    def _layer(self, command: Command, key: str, said: str, make: Callable[[str], Layer]) -> None:
        if not self.certain:
            self._uncertain()
            return
        after = self._cached(key, said)
        if after is None:
            self.fate, self.certain = DONE, False
            return
        new = after.layers[len(self.state.layers) :]
        self.fate = f"in the cache, {new[0].diff_id[:19]}" if new else "in the cache, without a layer"
        self.state = after
