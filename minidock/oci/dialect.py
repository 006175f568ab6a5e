"""As which we were called. Behind a link named `crun` minidock-oci keeps crun's ways where crun and runc differ.

Nearly everything is the same in both, and runc's way is ours. Ten matters have to be decided one way or the other:

                                          runc                          crun
    exec without --no-new-privs           as the container's process    off
    where createContainer hooks stand     in the root file system       in the bundle
    --help begins with                    NAME:                         Usage: crun [OPTION...] …
    arguments in that line                <container-id>                CONTAINER
    a number in process.args              refused                       the text that it is
    who listens at seccomp.listenerPath   called for SCMP_ACT_NOTIFY    always called
    standard streams go to                the process's user            his group, too
    a cgroup without cgroupsPath          /minidock-oci/ID (runc: /ID)  /ID
    errors of resources.unified           in runc's words               in crun's
    what --root/ID/status says            nothing: there is none        what crun tells itself, see `remember`
    LISTEN_FDS                            if LISTEN_PID is our number   always counts
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from minidock import files, spec

if TYPE_CHECKING:
    from minidock.oci.state import State
    from minidock.runtime.planned import Plan

OURS = "minidock-oci"
CRUN = "crun"
ARGUMENTS = {"exec": "CONTAINER cmd", "features": "", "list": "", "spec": "", "kill": "CONTAINER [SIGNAL]",
             "mounts": "[add|remove] CONTAINER FILE"}  # fmt: skip


def name() -> str:
    """The name of the link, as scripts/minidock-oci passes it on."""
    return os.environ.get("MINIDOCK_OCI_NAME") or OURS


def is_crun() -> bool:
    return name() == CRUN


def usage(command: str) -> str:
    """crun's first line of help."""
    return f"Usage: {CRUN} [OPTION...] {command} {ARGUMENTS.get(command, 'CONTAINER')}".rstrip()


def read(raw: bytes) -> bytes:
    """A config.json as both read it: for crun's callers with the numbers among process.args as text."""
    if not is_crun():
        return raw
    config: Any = msgspec.json.decode(raw)
    process = config.get("process") if isinstance(config, dict) else None
    if not isinstance(process, dict) or not isinstance(words := process.get("args"), list):
        return raw
    if not any(type(word) in (int, float) for word in words):
        return raw
    process["args"] = [str(word) if type(word) in (int, float) else word for word in words]
    return msgspec.json.encode(config)


def told(config: spec.Spec) -> spec.Spec:
    """For crun's callers with one more rule, to ask whoever listens about no call at all: so he gets the listener."""
    profile = config.linux.seccomp
    if not is_crun() or profile is None or not profile.listener_path:
        return config
    rules = [*profile.syscalls, spec.SeccompRule([], "SCMP_ACT_NOTIFY")]
    profile = msgspec.structs.replace(profile, syscalls=rules)
    return msgspec.structs.replace(config, linux=msgspec.structs.replace(config.linux, seccomp=profile))


def agents_version() -> str:
    """Of the message to whoever listens: crun's has a version of its own, runc's that of config.json."""
    return "0.2.0" if is_crun() else ""


WORDS = {
    r"unified resource '(.*)' must be in the form CONTROLLER.PARAMETER":
        r"the specified key has not the form CONTROLLER.VALUE `\1`",
    r"unified resource '.*' can't be set: controller '(.*)' not available":
        r"the requested cgroup controller `\1` is not available",
}  # fmt: skip
"""Where runc and crun say the same in other words, and somebody looks for them."""


def said(text: str) -> str:
    """An error, in crun's words for crun's callers."""
    if not is_crun():
        return text
    import re

    for runc, crun in WORDS.items():
        text = re.sub(runc, crun, text)
    return text


def cgroup(container_id: str) -> str:
    """Of a container that has no cgroupsPath. Ours hang below one cgroup of our own, crun's below the root."""
    return f"/{container_id}" if is_crun() else f"/{OURS}/{container_id}"


def streams(made: Plan, process: spec.Process | None) -> Plan:
    """For crun's callers the standard streams get the group of the process's user, too."""
    if not is_crun() or process is None:
        return made
    from minidock.kernel.workdir import OwnStandardStreams

    own = OwnStandardStreams(process.user.uid, process.user.gid)
    child = [own if isinstance(step, OwnStandardStreams) else step for step in made.child]
    return msgspec.structs.replace(made, child=child)


def remember(directory: Path, state: State, root: str, *, systemd: bool, detached: bool) -> None:
    """For those who look into crun's state: its file, with what is true of this container (crun's status.c).

    `root` is config.json's root.path. The last member is a list in JSON, as text in JSON: what the standard streams
    are, of the process that called us, since they are what the container's come from.
    """
    if not is_crun():
        return
    import pwd

    streams = [os.readlink(f"/proc/self/fd/{fd}") for fd in (0, 1, 2) if os.path.lexists(f"/proc/self/fd/{fd}")]
    told = {
        "pid": state.pid,
        "process-start-time": state.start_ticks,
        "cgroup-path": state.cgroup,
        "scope": os.path.basename(state.cgroup) if systemd else "",
        "rootfs": root,
        "systemd-cgroup": systemd,
        "bundle": state.bundle,
        "created": state.created,
        "owner": pwd.getpwuid(os.geteuid()).pw_name,
        "detached": detached,
        "external_descriptors": msgspec.json.encode(streams).decode(),
    }
    files.write_json(directory / "status", told, durable=False)
