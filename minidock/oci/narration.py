"""With --debug: each step as it begins, and who takes it.

The stages are named in runc's words too, by which people and tests find their way in such a log: `nsexec` is the making
of the namespaces and of the process in them (a C part of runc's, clone3(2) and setns(2) here), `init` what that process
does until it is the command.
"""

from __future__ import annotations

from minidock.kernel.execute import Execute
from minidock.kernel.scheduling import SetAffinity, listed
from minidock.oci.log import Log
from minidock.runtime.planned import Spawn
from minidock.steps import Silent, Step


class Narration(Silent):
    """`entering` is for `exec`, whose process enters a container instead of being the first of one."""

    def __init__(self, log: Log, *, entering: bool) -> None:
        self.log = log
        self.where = ""
        self.last = "setns_init: about to exec" if entering else "init: closing the pipe to signal completion"

    def moved(self, where: str) -> None:
        self.where = where
        if where == "container":
            self.log.debug("child process in init()")

    def started(self, step: Step) -> None:
        if isinstance(step, Spawn):
            self.log.debug("=> nsexec container setup")
        self.log.debug(f"{self.where}: {step.describe()}")
        if (flags := getattr(step, "flags", None)) is not None:  # of seccomp(2); in runc's words
            self.log.debug(f"seccomp filter flags: {flags}")
        if isinstance(step, Execute):  # the pipe is close-on-exec: for whoever made the process its end is the success
            self.log.debug(self.last)

    def done(self, step: Step, seconds: float) -> None:
        if isinstance(step, SetAffinity):
            self.log.debug(f"nsexec: affinity: {sum(1 << number for number in listed(step.processors)):#x}")
