"""What the arguments of commands and the values of flags are, as far as completion (completing.py) knows: tables.

Each kind of name is a function that asks the engine; None says that nobody knows, and the shell offers files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from . import context

Candidates = Iterable[tuple[str, str]]
Names = Callable[[], Candidates]


# Kinds of names: the word, and what is told beside it.


def running() -> Candidates:
    return [(one.names[0].lstrip("/"), f"{one.image}, {one.status}") for one in context.engine().containers()]


def containers() -> Candidates:
    return [(one.names[0].lstrip("/"), f"{one.image}, {one.status}") for one in context.engine().containers(all=True)]


def images() -> Candidates:
    tags = [tag for one in context.engine().images() for tag in one.repo_tags if "<none>" not in tag]
    return [(tag.removesuffix(":latest"), "image") for tag in tags]


def networks() -> Candidates:
    return [(one["Name"], f"network, {one['Driver']}") for one in context.engine().networks()]


def volumes() -> Candidates:
    return [(one.name, f"volume, {one.driver}") for one in context.engine().volumes()]


def anything() -> Candidates:
    return [*containers(), *images(), *networks(), *volumes()]


def labs() -> Candidates:
    from ..labs import catalogue, faults

    return [
        *((lab.number, lab.title) for lab in catalogue.labs()),
        *((fault.number, fault.title) for fault in faults.faults()),
    ]


def modes() -> Candidates:
    """Values of --network: a network, or a word that stands for none."""
    return [*networks(), ("host", "the host's own"), ("none", "nothing but lo")]


def commands() -> Candidates:
    from . import TOP

    return [(name, entry.brief) for name, entry in TOP.items() if entry.section]


def nothing() -> Candidates:
    """A name that is new, or a number: files would only be in the way."""
    return []


def _of_swarm(noun: str, *, after: str = "") -> Names:
    """Names of a noun's things, from the daemon whose swarm it is."""

    def names() -> Candidates:
        from . import swarm_api

        found = swarm_api.get(f"/{noun}s")
        shown = [(each.get("Description") or {}).get("Hostname") or each["Spec"].get("Name", "") for each in found]
        return [(f"{name}{after}", noun) for name in shown if name]

    return names


def nodes() -> Candidates:
    return [*_of_swarm("node")(), ("self", "the node of the daemon that is asked")]


def stacks() -> Candidates:
    from . import swarm_api
    from .stack_file import NAMESPACE

    found = swarm_api.get("/services", filters={"label": [NAMESPACE]})
    return [(name, "stack") for name in sorted({each["Spec"]["Labels"][NAMESPACE] for each in found})]


def _fixed(words: str) -> Names:
    return lambda: [(word, "") for word in words.split()]


ARGUMENTS: dict[str, tuple[Names, ...]] = {
    **dict.fromkeys(("attach", "kill", "pause", "stats", "stop", "unpause"), (running,)),
    **dict.fromkeys(("diff", "export", "logs", "restart", "rm", "start", "update", "wait"), (containers,)),
    **dict.fromkeys(("port", "top"), (running, nothing)),
    "commit": (containers, images),
    "rename": (containers, nothing),
    "container inspect": (containers,),
    **dict.fromkeys(("history", "rmi", "save", "push", "pull", "image rm", "image inspect"), (images,)),
    "tag": (images, images),
    "inspect": (anything,),
    **dict.fromkeys(("network rm", "network inspect"), (networks,)),
    **dict.fromkeys(("network connect", "network disconnect"), (networks, containers)),
    **dict.fromkeys(("network create", "volume create"), (nothing,)),
    **dict.fromkeys(("volume rm", "volume inspect"), (volumes,)),
    **dict.fromkeys(("lab start", "lab check", "lab hint", "lab reset", "lab run", "lab solution"), (labs,)),
    **dict.fromkeys(("service inspect", "service ps", "service rm"), (_of_swarm("service"),)),
    **dict.fromkeys(("service logs", "service update", "service rollback"), (_of_swarm("service"), nothing)),
    "service scale": (_of_swarm("service", after="="),),
    **dict.fromkeys(("node inspect", "node ps"), (nodes,)),
    **dict.fromkeys(("node promote", "node demote", "node rm"), (_of_swarm("node"),)),
    "node update": (_of_swarm("node"), nothing),
    **{f"{noun} {verb}": (_of_swarm(noun),) for noun in ("secret", "config") for verb in ("inspect", "rm")},
    **dict.fromkeys(("stack deploy", "stack ps", "stack services"), (stacks, nothing)),
    "stack rm": (stacks,),
    "swarm join-token": (_fixed("worker manager"), nothing),
    "help": (commands,),
}
"""By command, `container` and `image` left out where the verb at the top is the same. The last one repeats."""

FIRST: dict[str, Names] = {
    "exec": running,
    "run": images,
    "create": images,
    "service create": images,
    **dict.fromkeys(("secret create", "config create"), nothing),
}
"""Commands whose first argument is a name, and what follows anything."""


def of_argument(path: list[str], place: int) -> Candidates | None:
    """Candidates for the argument at `place` of the command `["container", "rm"]`."""
    short = path[1:] if len(path) > 1 and path[0] in ("container", "image") else path
    for words in (path, short):
        name = " ".join(words)
        if name in FIRST:
            return FIRST[name]() if place == 0 else None
        if name in ARGUMENTS:
            kinds = ARGUMENTS[name]
            return kinds[min(place, len(kinds) - 1)]()
    return None


CAPABILITIES = _fixed("ALL NET_ADMIN NET_RAW SYS_ADMIN SYS_PTRACE SYS_TIME")
FLAGS: dict[str, Names] = {
    **dict.fromkeys(("network", "net"), modes),
    **dict.fromkeys(("volumes-from", "link"), containers),
    **dict.fromkeys(("cap-add", "cap-drop"), CAPABILITIES),
    **dict.fromkeys(("signal", "stop-signal"), _fixed("SIGTERM SIGKILL SIGHUP SIGINT SIGQUIT SIGUSR1 SIGUSR2")),
    **dict.fromkeys(("ipc", "cgroupns", "pid", "uts", "userns"), _fixed("host")),
    **dict.fromkeys(("name", "hostname", "memory", "cpus", "publish", "env", "label"), nothing),
    "restart": _fixed("no always on-failure unless-stopped"),
    "pull": _fixed("always missing never"),
    "log-driver": _fixed("json-file local none"),
    "security-opt": _fixed("no-new-privileges seccomp=unconfined"),
    "gpus": _fixed("all"),
    "progress": _fixed("auto plain tty quiet"),
    "format": _fixed("json table"),
    "availability": _fixed("active pause drain"),
    "constraint": _fixed("node.role==manager node.role==worker"),
    "endpoint-mode": _fixed("vip dnsrr"),
    "mode": _fixed("replicated global replicated-job global-job"),
    "restart-condition": _fixed("none on-failure any"),
    "role": _fixed("worker manager"),
    **dict.fromkeys(("update-order", "rollback-order"), _fixed("start-first stop-first")),
    **dict.fromkeys(("update-failure-action", "rollback-failure-action"), _fixed("pause continue rollback")),
    **dict.fromkeys(("secret-add", "secret-rm"), _of_swarm("secret")),
    **dict.fromkeys(("config-add", "config-rm"), _of_swarm("config")),
}


def of_flag(name: str) -> Candidates | None:
    return FLAGS[name]() if name in FLAGS else None
