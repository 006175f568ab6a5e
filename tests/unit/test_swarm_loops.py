"""The leader's loops on a store in memory, with a clock of the test's own and agents that say what the test wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from minidock.errors import MinidockError
from minidock.swarm import enforcer, loops, networks, nodes, services, tasks_shown
from minidock.swarm.objects import Stored, TaskState, stamp
from minidock.swarm.store import MemoryStore

SPEC: dict[str, Any] = {"ContainerSpec": {"Image": "busybox"}, "ForceUpdate": 0}


class Swarm:
    """A store, its time, and the nodes' agents."""

    def __init__(self, nodes: int = 1) -> None:
        self.now = 1000.0
        self.store = MemoryStore(lambda: self.now)
        self.nodes = [self.node(f"n{number}") for number in range(nodes)]

    def node(self, name: str, **spec: Any) -> str:
        body = {
            "Spec": {"Role": "worker", "Availability": "active", "Labels": {}, **spec},
            "Description": {"Hostname": name, "Resources": {"NanoCPUs": 4 * 10**9, "MemoryBytes": 8 << 30}},
            "Status": {"State": "ready", "Addr": "10.0.0.1"},
        }
        return self.store.create("node", name, body).id

    def change_node(self, name: str, **members: Any) -> None:
        node = self.store.get("node", name)
        assert node is not None
        body = {**node.body, **{key: {**node.body[key], **value} for key, value in members.items()}}
        self.store.update("node", name, body, node.revision)

    def service(self, replicas: int = 1, template: dict[str, Any] | None = None, **more: Any) -> str:
        mode = more.pop("Mode", {"Replicated": {"Replicas": replicas}})
        name = f"web{len(self.store.all('service'))}"
        spec = {"Name": name, "TaskTemplate": {**SPEC, **(template or {})}, "Mode": mode, **more}
        id = str(services.create(self.store, spec, now=self.now)["ID"])
        self.turn()
        return id

    def update(self, id: str, change: Callable[[dict[str, Any]], None]) -> None:
        """As the API does it."""
        service = self.store.get("service", id)
        assert service is not None
        spec = service.body["Spec"]
        change(spec)
        services.update(self.store, id, spec, service.revision, now=self.now)
        self.turn()

    def turn(self, seconds: float = 0.0, times: int = 4) -> None:
        self.now += seconds
        for _ in range(times):
            loops.reconcile(self.store, self.now)

    def tasks(self, *states: TaskState, desired: str = "") -> list[Stored]:
        found = self.store.all("task")
        return [
            task
            for task in found
            if (not states or TaskState.of(task.body["Status"]["State"]) in states)
            and (not desired or task.body["DesiredState"] == desired)
        ]

    def say(self, task: Stored, state: TaskState) -> None:
        """An agent's report."""
        now = self.store.get("task", task.id)
        assert now is not None
        status = {**now.body["Status"], "State": state.shown(), "Timestamp": stamp(self.now)}
        self.store.update("task", task.id, {**now.body, "Status": status}, now.revision)

    def obey(self) -> None:
        """All agents do what is wanted: READY, RUNNING or SHUTDOWN."""
        for task in self.tasks():
            wanted, state = TaskState.of(task.body["DesiredState"]), TaskState.of(task.body["Status"]["State"])
            if state < TaskState.ASSIGNED or state.ended:
                continue
            if wanted > TaskState.COMPLETE:
                self.say(task, TaskState.SHUTDOWN)
            else:
                self.say(task, max(state, TaskState.READY if wanted == TaskState.READY else TaskState.RUNNING))

    def settle(self, rounds: int = 4, seconds: float = 0.0) -> None:
        for _ in range(rounds):
            self.obey()
            self.turn(seconds)

    def status(self, id: str) -> str:
        service = self.store.get("service", id)
        assert service is not None
        return str((service.body.get("UpdateStatus") or {}).get("State"))

    def live(self) -> list[Stored]:
        return [task for task in self.tasks() if task.body["DesiredState"] in ("ready", "running")]


def image(name: str) -> Callable[[dict[str, Any]], None]:
    def change(spec: dict[str, Any]) -> None:
        spec["TaskTemplate"]["ContainerSpec"]["Image"] = name

    return change


def images(tasks: list[Stored]) -> list[str]:
    return sorted(task.body["Spec"]["ContainerSpec"]["Image"] for task in tasks)


# Replicas


def test_a_service_has_as_many_tasks_as_replicas_each_in_its_slot_and_on_the_emptiest_node() -> None:
    swarm = Swarm(nodes=2)
    swarm.service(replicas=4)
    assigned = swarm.tasks(TaskState.ASSIGNED)
    assert sorted(task.body["Slot"] for task in assigned) == [1, 2, 3, 4]
    assert sorted(task.body["NodeID"] for task in assigned) == ["n0", "n0", "n1", "n1"]


def test_scaling_down_removes_what_does_not_run_and_then_the_highest_slots() -> None:
    swarm = Swarm()
    id = swarm.service(replicas=4)
    for task in swarm.tasks():
        if task.body["Slot"] != 1:
            swarm.say(task, TaskState.RUNNING)
    swarm.update(id, lambda spec: spec.update(Mode={"Replicated": {"Replicas": 2}}))
    assert sorted(task.body["Slot"] for task in swarm.live()) == [2, 3]
    swarm.settle()
    assert len(swarm.tasks()) == 2, "what was scaled away leaves no history"


def test_a_removed_service_takes_its_tasks_with_it_once_they_have_stopped() -> None:
    swarm = Swarm()
    id = swarm.service(replicas=2)
    swarm.settle()
    swarm.store.delete("service", id)
    swarm.turn()
    assert {task.body["DesiredState"] for task in swarm.tasks()} == {"remove"}
    swarm.settle()
    assert swarm.tasks() == []


# Restarts


def test_a_failed_task_is_replaced_after_the_delay() -> None:
    swarm = Swarm()
    swarm.service()
    swarm.settle()
    swarm.say(swarm.tasks()[0], TaskState.FAILED)
    swarm.turn()
    new = next(task for task in swarm.tasks() if task.body["DesiredState"] == "ready")
    assert new.body["Slot"] == 1
    swarm.turn(4)
    assert swarm.tasks(desired="running") == []
    swarm.turn(2)
    assert [task.id for task in swarm.tasks(desired="running")] == [new.id]


@pytest.mark.parametrize(
    ("condition", "ends", "again"),
    [
        ("none", TaskState.FAILED, False),
        ("on-failure", TaskState.COMPLETE, False),
        ("on-failure", TaskState.FAILED, True),
        ("any", TaskState.COMPLETE, True),
    ],
)
def test_the_condition_says_what_is_restarted(condition: str, ends: TaskState, again: bool) -> None:
    swarm = Swarm()
    swarm.service(template={"RestartPolicy": {"Condition": condition, "Delay": 0}})
    swarm.settle()
    swarm.say(swarm.tasks()[0], ends)
    swarm.turn()
    assert bool(swarm.live()) is again


def test_attempts_are_counted_within_the_window_only() -> None:
    swarm = Swarm()
    swarm.service(template={"RestartPolicy": {"Delay": 0, "MaxAttempts": 2, "Window": 60 * 10**9}})
    for _ in range(3):
        swarm.settle()
        for task in swarm.live():
            swarm.say(task, TaskState.FAILED)
        swarm.turn(1)
    assert swarm.live() == [], "two restarts, and no third"
    swarm = Swarm()
    swarm.service(template={"RestartPolicy": {"Delay": 0, "MaxAttempts": 2, "Window": 60 * 10**9}})
    for _ in range(5):
        swarm.settle()
        for task in swarm.live():
            swarm.say(task, TaskState.FAILED)
        swarm.turn(61)
    assert len(swarm.live()) == 1, "each is a minute after the one before"


def test_of_a_slot_five_tasks_are_kept() -> None:
    swarm = Swarm()
    swarm.service(template={"RestartPolicy": {"Delay": 0}})
    for _ in range(9):
        swarm.settle()
        swarm.say(swarm.live()[0], TaskState.FAILED)
        swarm.turn(1)
    swarm.settle()
    assert len(swarm.tasks()) == 5 and len(swarm.live()) == 1


@pytest.mark.parametrize(
    "gone", [{"Status": {"State": "down"}}, {"Spec": {"Availability": "drain"}}], ids=["down", "drained"]
)
def test_tasks_of_a_node_that_is_down_or_drained_move(gone: dict[str, Any]) -> None:
    swarm = Swarm(nodes=2)
    swarm.service(replicas=2)
    swarm.settle()
    swarm.change_node("n0", **gone)
    swarm.turn(6)
    swarm.settle(seconds=1)
    assert [task.body["NodeID"] for task in swarm.live()] == ["n1", "n1"]


def test_a_paused_node_keeps_what_it_has_and_gets_nothing_new() -> None:
    swarm = Swarm(nodes=2)
    id = swarm.service(replicas=2)
    swarm.settle()
    swarm.change_node("n0", Spec={"Availability": "pause"})
    swarm.update(id, lambda spec: spec.update(Mode={"Replicated": {"Replicas": 4}}))
    assert sorted(task.body["NodeID"] for task in swarm.live()) == ["n0", "n1", "n1", "n1"]


def test_tasks_of_a_removed_node_are_orphaned_and_replaced() -> None:
    swarm = Swarm(nodes=2)
    swarm.service(replicas=2)
    swarm.settle()
    swarm.store.delete("node", "n0")
    swarm.turn(6)
    assert len(swarm.tasks(TaskState.ORPHANED)) == 1
    assert [task.body["NodeID"] for task in swarm.live()] == ["n1", "n1"]


# Updates


def test_an_update_replaces_one_slot_after_the_other_and_then_watches() -> None:
    swarm = Swarm()
    id = swarm.service(replicas=3, UpdateConfig={"Parallelism": 1, "Delay": 10 * 10**9, "Monitor": 5 * 10**9})
    swarm.settle()
    swarm.update(id, image("two"))
    assert swarm.status(id) == "updating"
    swarm.settle()
    assert images(swarm.tasks(TaskState.RUNNING)) == ["busybox", "busybox", "two"]
    swarm.turn(11)
    swarm.settle()
    assert images(swarm.tasks(TaskState.RUNNING)) == ["busybox", "two", "two"]
    swarm.turn(11)
    swarm.settle()
    swarm.turn(11)
    assert images(swarm.tasks(TaskState.RUNNING)) == ["two", "two", "two"]
    assert swarm.status(id) == "updating"
    swarm.turn(12)
    assert swarm.status(id) == "completed"


def test_start_first_stops_the_old_one_when_the_new_one_runs() -> None:
    swarm = Swarm()
    id = swarm.service(UpdateConfig={"Order": "start-first"})
    swarm.settle()
    swarm.update(id, image("two"))
    assert images(swarm.live()) == ["busybox", "two"]
    for task in swarm.live():
        if images([task]) == ["two"]:
            swarm.say(task, TaskState.STARTING)
    swarm.turn()
    assert images(swarm.live()) == ["busybox", "two"]
    swarm.settle()
    assert images(swarm.tasks(TaskState.RUNNING)) == ["two"]


def test_stop_first_starts_the_new_one_when_the_old_one_has_stopped() -> None:
    swarm = Swarm()
    id = swarm.service()
    swarm.settle()
    swarm.update(id, image("two"))
    assert images(swarm.tasks(desired="ready")) == ["two"]
    swarm.say(swarm.tasks(desired="shutdown")[0], TaskState.SHUTDOWN)
    swarm.turn()
    assert images(swarm.tasks(desired="running")) == ["two"]


@pytest.mark.parametrize(
    ("action", "said", "left"),
    [
        ("pause", "paused", ["busybox", "busybox", "two"]),
        ("continue", "completed", ["two", "two", "two"]),
        ("rollback", "rollback_completed", ["busybox", "busybox", "busybox"]),
    ],
)
def test_what_is_done_when_new_tasks_fail(action: str, said: str, left: list[str]) -> None:
    swarm = Swarm()
    id = swarm.service(replicas=3, UpdateConfig={"Parallelism": 1, "FailureAction": action})
    swarm.settle()
    swarm.update(id, image("two"))
    swarm.say(swarm.tasks(desired="shutdown")[0], TaskState.SHUTDOWN)
    swarm.turn()
    broken = next(task for task in swarm.live() if images([task]) == ["two"])
    swarm.say(broken, TaskState.FAILED)
    swarm.turn()
    swarm.settle(rounds=12, seconds=2)
    assert images(swarm.live()) == left
    assert swarm.status(id) == said


def test_a_failure_below_the_ratio_is_borne() -> None:
    swarm = Swarm()
    id = swarm.service(replicas=4, UpdateConfig={"Parallelism": 1, "MaxFailureRatio": 0.3})
    swarm.settle()
    swarm.update(id, image("two"))
    swarm.say(swarm.tasks(desired="shutdown")[0], TaskState.SHUTDOWN)
    swarm.turn()
    swarm.say(next(task for task in swarm.live() if images([task]) == ["two"]), TaskState.FAILED)
    swarm.turn()
    swarm.settle(rounds=14, seconds=2)
    assert (swarm.status(id), images(swarm.live())) == ("completed", ["two"] * 4)


def test_scaling_is_no_update_and_what_was_rolled_back_is_what_was_before() -> None:
    swarm = Swarm()
    id = swarm.service(replicas=1)
    swarm.settle()
    swarm.update(id, lambda spec: spec.update(Mode={"Replicated": {"Replicas": 2}}))
    swarm.settle()
    assert swarm.status(id) == "None" and len(swarm.live()) == 2
    assert len(tasks_shown.listed(swarm.store, {"service": [id], "_up-to-date": ["true"]})) == 2
    swarm.update(id, image("two"))
    swarm.settle(rounds=8, seconds=2)
    assert images(swarm.live()) == ["two", "two"]
    service = swarm.store.get("service", id)
    assert service is not None
    services.update(swarm.store, id, service.body["Spec"], service.revision, rollback="previous", now=swarm.now)
    swarm.turn()
    assert swarm.status(id) == "rollback_started"
    swarm.settle(rounds=8, seconds=2)
    assert (swarm.status(id), images(swarm.live())) == ("rollback_completed", ["busybox", "busybox"])


# Global services and jobs


def test_a_global_service_follows_the_nodes() -> None:
    swarm = Swarm(nodes=2)
    swarm.service(Mode={"Global": {}}, template={"Placement": {"Constraints": ["node.labels.off != yes"]}})
    swarm.settle()
    assert sorted(task.body["NodeID"] for task in swarm.tasks(TaskState.RUNNING)) == ["n0", "n1"]
    swarm.node("n2")
    swarm.turn()
    assert sorted(task.body["NodeID"] for task in swarm.live()) == ["n0", "n1", "n2"]
    swarm.change_node("n1", Spec={"Labels": {"off": "yes"}})
    swarm.settle()
    assert sorted(task.body["NodeID"] for task in swarm.live()) == ["n0", "n2"]


def test_a_global_service_is_updated_node_after_node() -> None:
    swarm = Swarm(nodes=2)
    id = swarm.service(Mode={"Global": {}})
    swarm.settle()
    swarm.update(id, image("two"))
    assert images(swarm.live()) == ["busybox", "two"]
    swarm.settle(rounds=10, seconds=2)
    assert (swarm.status(id), images(swarm.live())) == ("completed", ["two", "two"])


def test_a_job_runs_so_many_at_a_time_until_all_are_complete_and_failures_are_tried_again() -> None:
    swarm = Swarm()
    job = {"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 3}}
    id = swarm.service(Mode=job, template={"RestartPolicy": {"Condition": "on-failure", "Delay": 0}})
    assert len(swarm.tasks(TaskState.ASSIGNED)) == 2
    swarm.say(swarm.tasks()[0], TaskState.FAILED)
    swarm.say(swarm.tasks()[1], TaskState.COMPLETE)
    swarm.turn()
    assert sorted(task.body["Slot"] for task in swarm.tasks(TaskState.ASSIGNED)) == [0, 2]
    for task in swarm.tasks(TaskState.ASSIGNED):
        swarm.say(task, TaskState.COMPLETE)
    swarm.turn()
    assert len(swarm.tasks(TaskState.COMPLETE)) == 3 and not swarm.tasks(TaskState.ASSIGNED)
    swarm.update(id, lambda spec: spec["TaskTemplate"].update(ForceUpdate=1))
    assert len(swarm.tasks(TaskState.ASSIGNED)) == 2, "an update runs it again"


def test_a_global_job_runs_once_on_every_node() -> None:
    swarm = Swarm(nodes=2)
    swarm.service(Mode={"GlobalJob": {}})
    assert {task.body["DesiredState"] for task in swarm.tasks()} == {"complete"}
    for task in swarm.tasks():
        swarm.say(task, TaskState.COMPLETE)
    swarm.turn()
    assert [task.body["Status"]["State"] for task in swarm.tasks()] == ["complete", "complete"]


# Where tasks go


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ({"Placement": {"Constraints": ["node.role == manager"]}}, "scheduling constraints not satisfied on 2 nodes"),
        ({"Resources": {"Reservations": {"MemoryBytes": 9 << 30}}}, "insufficient resources on 2 nodes"),
        ({"Placement": {"Platforms": [{"OS": "plan9"}]}}, "unsupported platform on 2 nodes"),
    ],
)
def test_a_task_that_fits_nowhere_waits_and_says_why(template: dict[str, Any], why: str) -> None:
    swarm = Swarm(nodes=2)
    swarm.service(template=template)
    (task,) = swarm.tasks()
    assert (task.body["Status"]["State"], task.body["Status"]["Err"]) == ("pending", f"no suitable node ({why})")
    before = swarm.store.revision()
    swarm.turn()
    assert swarm.store.revision() == before, "the same isn't said again"


def test_reservations_host_ports_and_most_replicas_fill_nodes() -> None:
    ports = [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 80, "PublishMode": "host"}]
    for template, more in (
        ({"Resources": {"Reservations": {"MemoryBytes": 5 << 30}}}, {}),
        ({}, {"EndpointSpec": {"Ports": ports}}),
        ({"Placement": {"MaxReplicas": 1}}, {}),
    ):
        swarm = Swarm(nodes=2)
        swarm.service(replicas=3, template=template, **more)
        assert sorted(task.body["NodeID"] for task in swarm.tasks(TaskState.ASSIGNED)) == ["n0", "n1"]
        assert len(swarm.tasks(TaskState.PENDING)) == 1


def test_preferences_spread_over_a_label_first() -> None:
    swarm = Swarm(nodes=0)
    for name, rack in (("a", "1"), ("b", "1"), ("c", "1"), ("d", "2")):
        swarm.node(name, Labels={"rack": rack})
    spread = [{"Spread": {"SpreadDescriptor": "node.labels.rack"}}]
    swarm.service(replicas=6, template={"Placement": {"Preferences": spread}})
    assert sorted(task.body["NodeID"] for task in swarm.tasks(TaskState.ASSIGNED)) == ["a", "b", "c", "d", "d", "d"]


def test_ports_that_nobody_named_are_taken_from_their_range_and_kept() -> None:
    swarm = Swarm()
    ports = {"Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishMode": "ingress"}]}
    id = swarm.service(EndpointSpec=ports)

    def published() -> list[int]:
        return [port["PublishedPort"] for each in swarm.store.all("service") for port in each.body["Endpoint"]["Ports"]]

    assert published() == [30000]
    swarm.service(EndpointSpec=ports)
    assert published() == [30000, 30001]
    swarm.update(id, image("two"))
    assert published() == [30000, 30001]


def test_overlay_networks_have_names_of_their_own_and_stay_while_they_are_used() -> None:
    swarm = Swarm()
    for name in ("one", "two"):
        networks.create(swarm.store, {"Name": name})
    swarm.turn()
    with pytest.raises(MinidockError, match="network with name one already exists"):
        networks.create(swarm.store, {"Name": "one"})
    with pytest.raises(MinidockError, match="can't be encrypted"):
        networks.create(swarm.store, {"Name": "three", "Options": {"encrypted": ""}})
    id = swarm.service(template={"Networks": [{"Target": "one"}]})
    with pytest.raises(MinidockError, match=f"is in use by service {id}"):
        networks.remove(swarm.store, "one")
    with pytest.raises(MinidockError, match="network nosuch not found"):
        swarm.service(template={"Networks": [{"Target": "nosuch"}]})
    assert networks.remove(swarm.store, "two") is not None


def test_a_node_whose_label_was_taken_away_loses_the_task_that_needed_it() -> None:
    swarm = Swarm(nodes=1)
    swarm.node("n9", Labels={"disk": "ssd"})
    swarm.service(template={"Placement": {"Constraints": ["node.labels.disk==ssd"]}})
    swarm.settle()
    swarm.change_node("n9", Spec={"Labels": {}})
    swarm.turn(6)
    assert [task.body["NodeID"] for task in swarm.tasks(TaskState.REJECTED)] == ["n9"]
    assert len(swarm.tasks(TaskState.PENDING)) == 1


# What the loops leave alone


def test_a_settled_swarm_is_not_written_to() -> None:
    swarm = Swarm(nodes=2)
    swarm.service(replicas=3)
    swarm.service(Mode={"Global": {}})
    swarm.settle()
    before = swarm.store.revision()
    swarm.turn(60)
    assert swarm.store.revision() == before


def test_tasks_of_a_node_that_has_been_down_for_a_day_are_orphaned_and_forgotten() -> None:
    swarm = Swarm(2)
    service = swarm.service(2)
    swarm.settle()
    lost = next(task for task in swarm.tasks() if task.body["NodeID"] == "n0")
    node = swarm.store.get("node", "n0")
    assert node is not None
    down = {"Status": {**node.body["Status"], "State": "down"}, "Aside": {nodes.DOWN_SINCE: swarm.now}}
    swarm.store.update("node", "n0", {**node.body, **down}, node.revision)
    services.remove(swarm.store, service)
    swarm.turn(enforcer.DAY)
    for task in swarm.tasks():
        if task.id != lost.id:
            swarm.say(task, TaskState.SHUTDOWN)
    swarm.turn()
    assert [task.id for task in swarm.tasks()] == [lost.id]
    swarm.turn(1)
    assert swarm.tasks() == []
