"""A store's promises: revisions, names, changes; and the nouns it keeps."""

import base64
import threading
from typing import Any

import pytest

from minidock.swarm import sealing
from minidock.swarm.etcd_store import EtcdStore
from minidock.swarm.objects import Change, Kind, TaskState, based36, moment, new_id, stamp
from minidock.swarm.store import MemoryStore, Missing, NameTaken, OutOfSequence


def test_an_update_from_an_old_revision_is_refused():
    store = MemoryStore()
    first = store.create("service", "a", {"n": 1})
    second = store.update("service", "a", {"n": 2}, first.revision)
    with pytest.raises(OutOfSequence, match="update out of sequence"):
        store.update("service", "a", {"n": 3}, first.revision)
    with pytest.raises(OutOfSequence):
        store.delete("service", "a", first.revision)
    assert second.revision > first.revision
    assert store.get("service", "a") == second


def test_what_is_not_there_cannot_be_changed():
    store = MemoryStore()
    assert store.get("node", "x") is None
    with pytest.raises(Missing, match="node x not found"):
        store.update("node", "x", {}, 1)
    with pytest.raises(Missing):
        store.delete("node", "x")


def test_a_name_is_unique_within_its_kind_until_its_object_goes():
    store = MemoryStore()
    store.create("secret", "a", {}, name="one")
    store.create("config", "b", {}, name="one")
    with pytest.raises(NameTaken):
        store.create("secret", "c", {}, name="one")
    found = store.by_name("secret", "one")
    assert found is not None and found.id == "a"
    store.delete("secret", "a")
    assert store.by_name("secret", "one") is None
    assert store.create("secret", "c", {}, name="one").name == "one"


def test_bodies_belong_to_who_asked():
    store = MemoryStore()
    mine = {"list": [1]}
    made = store.create("task", "a", mine)
    mine["list"].append(2)
    made.body["list"].append(3)
    found = store.get("task", "a")
    assert found is not None and found.body == {"list": [1]}


def test_all_of_a_kind_come_in_order_of_their_making():
    store = MemoryStore()
    for id in ("b", "a", "c"):
        store.create("task", id, {})
    store.create("node", "d", {})
    first = store.get("task", "b")
    assert first is not None
    store.update("task", "b", {"n": 1}, first.revision)
    assert [stored.id for stored in store.all("task")] == ["b", "a", "c"]


def test_changes_after_a_revision_are_told_in_order_and_the_watch_ends_when_idle():
    store = MemoryStore()
    store.create("task", "a", {})
    after = store.revision()
    made = store.create("task", "b", {})
    store.delete("task", "b")
    changes = list(store.watch(after, idle=0))
    assert changes == [Change("task", "b", made, made.revision), Change("task", "b", None, made.revision + 1)]
    assert list(store.watch(idle=0)) == []


def test_a_watch_from_now_on_misses_nothing_between_call_and_first_look():
    store = MemoryStore()
    watch = store.watch(idle=10)
    writer = threading.Thread(target=store.create, args=("task", "a", {}))
    writer.start()
    assert next(iter(watch)).id == "a"
    writer.join()


def test_ids_look_like_swarmkits():
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(id) == 25 and id.isalnum() and id == id.lower() for id in ids)
    assert based36(35 * 36 + 1, 5) == "000z1"


def test_task_states_are_ordered_as_tasks_live():
    assert TaskState.of("running").shown() == "running"
    assert TaskState.NEW < TaskState.PENDING < TaskState.ASSIGNED < TaskState.RUNNING < TaskState.ORPHANED
    assert TaskState.FAILED.ended and not TaskState.RUNNING.ended


def test_times_survive_both_ways():
    assert stamp(0.25) == "1970-01-01T00:00:00.250000Z"
    assert moment("1970-01-01T00:00:00.250000000Z") == 0.25
    assert moment("1970-01-01T00:00:01Z") == 1.0


def test_shown_is_what_the_api_answers():
    store = MemoryStore(clock=lambda: 1.0)
    assert store.create("node", "a", {"Spec": {}}).shown() == {
        "ID": "a",
        "Version": {"Index": 1},
        "CreatedAt": "1970-01-01T00:00:01.000000Z",
        "UpdatedAt": "1970-01-01T00:00:01.000000Z",
        "Spec": {},
    }


class Recorded:
    """An etcd that keeps what is put, and can be asked for it."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def call(self, method: str, body: dict[str, Any]) -> Any:
        if method == "kv/txn":
            for put in body["success"]:
                self.kept[put["request_put"]["key"]] = put["request_put"]["value"]
            return {"succeeded": True, "header": {"revision": "1"}}
        return {"kvs": [{"key": body["key"], "value": self.kept[body["key"]], "mod_revision": "1"}]}


@pytest.mark.parametrize("kind", ["service", "task"])
def test_a_password_for_a_registry_reaches_no_disk_and_the_rest_can_be_read(kind: Kind) -> None:
    etcd = Recorded()
    store = EtcdStore(etcd, sealing.new_key())  # type: ignore[arg-type]
    body = {"Spec": {"Name": "web"}, "Aside": {"Auth": {"username": "bob", "password": "rosebud"}, "SpecVersion": 3}}
    store.create(kind, "a", body)
    (written,) = (base64.b64decode(value) for value in etcd.kept.values())
    assert b"rosebud" not in written and b'"SpecVersion": 3' in written
    found = store.get(kind, "a")
    assert found is not None and found.body == body
