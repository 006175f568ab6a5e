"""Waiting until a service is what was asked for, as `docker service create` does it: by asking for tasks, and again.

What is printed is Docker's when it writes to no terminal: a block for each change, and at the end `converged`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..errors import MinidockError

if TYPE_CHECKING:
    from ..daemon.client.api import Api

Body = dict[str, Any]
STABLE = 5.0
"""Seconds that tasks must hold out before they count as stable; the update's monitor where it has one."""
EVERY = 0.1
LONGEST_LIST = 20
ACTIVE = ("new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running")
BACK = ("rollback_started", "rollback_paused", "rollback_completed")


class Told:
    """Prints what differs from what was printed last."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self._last = ""

    def say(self, text: str) -> None:
        if text != self._last and not self.quiet:
            print(text, flush=True)
        self._last = text


def wait(api: Api, id: str, *, quiet: bool = False) -> None:
    """Raises MinidockError when an update pauses, or the service goes meanwhile."""
    told = Told(quiet)
    since: float | None = None
    while True:
        service = api.json("GET", f"/services/{id}")
        status = service.get("UpdateStatus") or {}
        if status.get("State") in ("paused", "rollback_paused"):
            what = "update" if status["State"] == "paused" else "rollback"
            raise MinidockError(f"service {what} paused: {status.get('Message', '')}")
        nodes = {node["ID"]: node for node in api.json("GET", "/nodes")}
        tasks = api.json("GET", "/tasks", {"filters": {"service": [id], "_up-to-date": ["true"]}})
        wanted, done, rows = _counted(service, tasks, nodes)
        back = "rolling back update: " if status.get("State") in BACK else ""
        told.say("\n".join([f"overall progress: {back}{done} out of {wanted} tasks", *rows]))
        busy = status.get("State") in ("updating", "rollback_started")
        if done < wanted or busy:
            since = None
        elif _is_job(service) or status.get("State") in ("completed", "rollback_completed"):
            break
        else:
            since = since if since is not None else time.monotonic()
            left = _monitor(service) - (time.monotonic() - since)
            if left <= 0:
                break
            told.say(f"verify: Waiting {int(left) + 1} seconds to verify that tasks are stable...")
        time.sleep(EVERY)
    told.say(f"job complete: {id}" if _is_job(service) else f"verify: Service {id} converged")


def _is_job(service: Body) -> bool:
    return any(name in service["Spec"]["Mode"] for name in ("ReplicatedJob", "GlobalJob"))


def _monitor(service: Body) -> float:
    said = (service["Spec"].get("UpdateConfig") or {}).get("Monitor")
    return float(said) / 1e9 if said else STABLE


def _counted(service: Body, tasks: list[Body], nodes: dict[str, Body]) -> tuple[int, int, list[str]]:
    """(wanted, running or complete, a line each)"""
    mode = service["Spec"]["Mode"]
    end = "complete" if _is_job(service) else "running"
    if _is_job(service):
        now = (service.get("JobStatus") or {}).get("JobIteration", {}).get("Index", 0)
        tasks = [task for task in tasks if (task.get("JobIteration") or {}).get("Index", 0) == now]
    newest: dict[str, Body] = {}
    everywhere = "Global" in mode or "GlobalJob" in mode
    for task in sorted(tasks, key=lambda task: str(task["CreatedAt"])):
        if task["DesiredState"] in ("shutdown", "remove") and not _is_job(service):
            continue
        newest[str(task.get("NodeID") if everywhere else task.get("Slot", 0))] = task
    if "Replicated" in mode:
        wanted = int(mode["Replicated"]["Replicas"])
    elif "ReplicatedJob" in mode:
        wanted = int(mode["ReplicatedJob"]["TotalCompletions"])
    else:
        wanted = len(newest)
    done = sum(task["Status"]["State"] == end for task in newest.values())
    rows = [_row(key, wanted, task, nodes, everywhere) for key, task in sorted(newest.items(), key=lambda one: one[0])]
    return wanted, done, rows if wanted <= LONGEST_LIST else []


def _row(key: str, wanted: int, task: Body, nodes: dict[str, Body], everywhere: bool) -> str:
    if everywhere:
        label = str((nodes.get(key, {}).get("Description") or {}).get("Hostname") or key)
    else:
        label = f"{key}/{wanted}"
    error = task["Status"].get("Err")
    return f"{label}: {error or task['Status']['State']}"
