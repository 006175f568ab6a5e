"""Lines of a service's tasks. Whose each is, the daemon says in it; told as `web.1.ID@node    | line`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import MinidockError, NotFound

if TYPE_CHECKING:
    from ..daemon.client.api import Api

Body = dict[str, Any]
ERROR = 3
"""Stream of what the daemon itself has to say."""
PREFIX = "com.docker.swarm."


def follow(api: Api, ref: str, given: Body) -> Iterator[tuple[int, bytes]]:
    """(stream, line). Raises MinidockError for what is neither a service nor a task."""
    path, service = _found(api, ref)
    query = {
        "stdout": True,
        "stderr": True,
        "follow": given["follow"],
        "timestamps": given["timestamps"],
        "tail": given["tail"],
        "details": True,
        "since": _since(given["since"]),
    }
    answer = api.open("GET", f"{path}/logs", query)
    tty = bool(service["Spec"]["TaskTemplate"]["ContainerSpec"].get("TTY"))
    if tty:
        for piece in api.pieces(answer):
            yield 1, piece
        return
    labels = Labels(api, service, given)
    while len(header := answer.read(8)) == 8:
        line = answer.read(int.from_bytes(header[4:], "big"))
        if header[0] == ERROR:
            raise MinidockError(f"error from daemon in stream: {line.decode(errors='replace')}")
        yield header[0], labels.told(line)


def _found(api: Api, ref: str) -> tuple[str, Body]:
    from . import swarm_api

    try:
        service = api.json("GET", swarm_api.path("services", ref))
        return f"/services/{service['ID']}", service
    except NotFound:
        pass
    try:
        task = api.json("GET", swarm_api.path("tasks", ref))
    except NotFound:
        raise MinidockError(f"no such task or service: {ref}") from None
    return f"/tasks/{task['ID']}", api.json("GET", f"/services/{task['ServiceID']}")


def _since(text: str) -> object:
    from .units import moment

    return moment(text, "since") if text else None


class Labels:
    """Who wrote a line, as wide as the longest name."""

    def __init__(self, api: Api, service: Body, given: Body) -> None:
        self.given = given
        tasks = api.json("GET", "/tasks", {"filters": {"service": [service["ID"]]}})
        nodes = {each["ID"]: (each["Description"] or {}).get("Hostname", "") for each in api.json("GET", "/nodes")}
        self.names = {task["ID"]: self._name(service, task, nodes) for task in tasks}
        self.width = max((len(name) for name in self.names.values()), default=0)

    def _name(self, service: Body, task: Body, nodes: dict[str, str]) -> str:
        bare, node = self.given["no_resolve"], task.get("NodeID", "")
        name = f"{service['ID'] if bare else service['Spec']['Name']}.{task.get('Slot') or node}"
        if not self.given["no_task_ids"]:
            name += f".{task['ID'] if self.given['no_trunc'] else task['ID'][:12]}"
        return f"{name}@{node if bare else nodes.get(node) or node}"

    def told(self, line: bytes) -> bytes:
        time = b""
        if self.given["timestamps"]:
            first, _, line = line.partition(b" ")
            time = first + b" "
        whose, _, text = line.partition(b" ")
        facts = dict(pair.partition("=")[::2] for pair in whose.decode(errors="replace").split(","))
        extra = {name: value for name, value in facts.items() if not name.startswith(PREFIX)}
        if self.given["details"] and extra:
            text = ",".join(f"{name}={value}" for name, value in sorted(extra.items())).encode() + b" " + text
        if self.given["raw"]:
            return time + text
        name = self.names.get(facts.get(f"{PREFIX}task.id", ""), "")
        return f"{name:<{self.width + 4}}| ".encode() + time + text
