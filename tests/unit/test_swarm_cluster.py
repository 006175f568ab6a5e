"""The swarm as an object, its nodes, secrets and configs: rules and texts, on a store in memory."""

import asyncio
import base64
import ssl

import pytest

from minidock.errors import Conflict, MinidockError, NotFound, UsageError
from minidock.paths import Layout
from minidock.swarm import addresses, assignments, ca, cluster, dispatcher, kept, nodes, sealing, tokens
from minidock.swarm.addresses import advertised, listening
from minidock.swarm.admission import LEARNING, Wish, admit, drop_stuck, renew
from minidock.swarm.happened import Memory
from minidock.swarm.manager import Surroundings
from minidock.swarm.membership import Membership
from minidock.swarm.objects import Change
from minidock.swarm.store import MemoryStore

DOCKERS_ROOT = """\
-----BEGIN CERTIFICATE-----
MIIBazCCARCgAwIBAgIUZNCBx4zknQaT8AfqHZhojNsUT9gwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAxMIc3dhcm0tY2EwHhcNMjYxMTMwMDAxNTAwWhcNNDYxMTI1MDAx
NTAwWjATMREwDwYDVQQDEwhzd2FybS1jYTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABLG5ZyCq9x3so1B/pzFO3ppbEoBBEEs2dwMY2XOokZuy4DkWRZamefx+EpKJ
lEJ30pydNNKaAZA6BwxKEmM7bQejQjBAMA4GA1UdDwEB/wQEAwIBBjAPBgNVHRMB
Af8EBTADAQH/MB0GA1UdDgQWBBRODxwoDpk2Sd85bgGOawEHR/LEjzAKBggqhkjO
PQQDAgNJADBGAiEAzkqT3omtecwOvksIKOXOlqiGyfYt7606flOiG3yq0MYCIQD3
SxAnefN1+Vr5jl9X/7cooDAB1olljtVfCeHOZK4kQA==
-----END CERTIFICATE-----
"""
HELLO = base64.b64encode(b"hello").decode()


@pytest.fixture(scope="module")
def founded():
    return cluster.new({}, pools=[], subnet=0, data_path_port=0)


@pytest.fixture
def store(founded):
    made = MemoryStore()
    made.create("cluster", "c", founded, name="default")
    body = nodes.new("manager", "active", "127.0.0.1")
    body["Description"]["Hostname"] = "one"
    made.create("node", "aaa", body)
    return made


# Tokens and keys


def test_a_token_is_the_roots_digest_and_a_secret_in_base_36():
    """Of a swarm that dockerd 20.10 made: its root, and the token that it gave out."""
    text = "SWMTKN-1-5sxuhjjuoqil4gtaqda2z6bspkzzbd5s5r2o21b2ocrs0ocqke-84nzy7nt8t1u8am5x1b0kidk4"
    assert tokens.token(DOCKERS_ROOT, "84nzy7nt8t1u8am5x1b0kidk4") == text
    assert tokens.parsed(text) == tokens.Token(tokens.digest(DOCKERS_ROOT), "84nzy7nt8t1u8am5x1b0kidk4")
    for bad in ("", "SWMTKN-1-x-y", text.replace("-1-", "-2-"), f"{text}0"):
        with pytest.raises(UsageError, match="invalid join token"):
            tokens.parsed(bad)


def test_what_is_sealed_opens_with_its_key_only():
    key = sealing.new_key()
    sealed = sealing.seal(key, b"words")
    assert b"words" not in base64.b64decode(sealed)
    assert sealing.opened(key, sealed) == b"words"
    with pytest.raises(sealing.WrongKey):
        sealing.opened(sealing.new_key(), sealed)


def test_an_unlock_key_is_written_as_swarmkit_does():
    key = bytes(range(32))
    assert sealing.unlock_text(key) == "SWMKEY-1-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert sealing.unlock_key(sealing.unlock_text(key)) == key
    for bad in ("x", "SWMKEY-1-AA", "SWMKEY-1-!!"):
        with pytest.raises(MinidockError, match="invalid"):
            sealing.unlock_key(bad)


# Certificates


def test_a_certificate_says_who_one_is_and_nothing_that_was_asked_for(founded, tmp_path):
    root = ca.Authority(founded["TLSInfo"]["TrustRoot"], founded["Private"]["CAKey"])
    key, request = ca.new_request()
    certificate = ca.issue(root, request, ca.Identity("n1", "worker", "c"), ["127.0.0.1"])
    for name, text in (("ca", root.certificate), ("crt", certificate), ("key", key)):
        (tmp_path / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(tmp_path / "ca")
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    subject = ssl._ssl._test_decode_cert(str(tmp_path / "crt"))["subject"]
    assert ca.identity(subject) == ca.Identity("n1", "worker", "c")
    begins, ends = ca.ends(certificate)
    assert ends - begins == pytest.approx(90 * 24 * 3600 + 3600, abs=2)


def test_what_is_no_request_gets_no_certificate(founded):
    root = ca.Authority(founded["TLSInfo"]["TrustRoot"], founded["Private"]["CAKey"])
    with pytest.raises(MinidockError, match="can't be read"):
        ca.issue(root, "rubbish", ca.Identity("n1", "worker", "c"))


def test_the_subject_of_another_authority_is_no_role():
    assert ca.identity(((("commonName", "x"),), (("organizationalUnitName", "swarm-king"),))).role == ""


# Joining


def test_the_token_says_as_what_one_joins(store):
    current = cluster.only(store)
    shown = cluster.shown(current)
    for role in ("Worker", "Manager"):
        wish = Wish(ca.new_request()[1], shown["JoinTokens"][role], "pause")
        said = admit(store, wish, "10.0.0.7")
        assert said["role"] == role.lower()
        node = store.get("node", said["node"])
        assert node.body["Spec"] == {"Labels": {}, "Role": role.lower(), "Availability": "pause"}
        assert node.body["Status"]["Addr"] == "10.0.0.7"
    assert "Private" not in shown


def test_a_rotated_token_is_good_no_more(store):
    current = cluster.only(store)
    old = cluster.shown(current)["JoinTokens"]
    changed = cluster.update(store, current.revision, {}, {"Worker": True})
    new = cluster.shown(changed)["JoinTokens"]
    assert new["Worker"] != old["Worker"] and new["Manager"] == old["Manager"]
    with pytest.raises(UsageError, match="A valid join token is necessary"):
        admit(store, Wish(ca.new_request()[1], old["Worker"]), "10.0.0.7")


def test_a_certificate_is_renewed_as_what_people_want_the_node_to_be(store):
    who = ca.Identity("aaa", "worker", "c")
    assert renew(store, Wish(ca.new_request()[1]), who, "127.0.0.1")["role"] == "manager"
    with pytest.raises(NotFound):
        renew(store, Wish(ca.new_request()[1]), ca.Identity("gone", "worker", "c"), "127.0.0.1")


def test_certificates_of_the_same_age_are_renewed_at_different_moments(founded, monkeypatch):
    root = ca.Authority(founded["TLSInfo"]["TrustRoot"], founded["Private"]["CAKey"])
    many = [ca.issue(root, ca.new_request()[1], ca.Identity(f"n{n}", "manager", "c")) for n in range(12)]
    begins, until = ca.ends(many[0])

    def old_at(part):
        monkeypatch.setattr(ca.time, "time", lambda: begins + (until - begins) * part)
        return sum(ca.is_old(one) for one in many)

    assert (old_at(0.49), old_at(0.81)) == (0, 12)
    assert 0 < old_at(0.65) < 12


class Members:
    """An etcd's list of members."""

    def __init__(self, *found):
        self.found = list(found)

    def members(self):
        return self.found

    def remove_member(self, id):
        self.found = [one for one in self.found if one["ID"] != id]


def test_a_manager_that_was_killed_as_it_joined_leaves_room_for_the_next():
    etcd, since = Members({"ID": "1"}, {"ID": "2", "isLearner": True}), {}
    drop_stuck(etcd, since, 0.0)
    drop_stuck(etcd, since, LEARNING)
    assert len(etcd.found) == 2
    etcd.found.append({"ID": "3", "isLearner": True})
    drop_stuck(etcd, since, LEARNING + 1)
    assert [one["ID"] for one in etcd.found] == ["1", "3"]
    etcd.found = [{"ID": "1"}, {"ID": "3"}]  # it has its vote
    drop_stuck(etcd, since, 3 * LEARNING)
    assert since == {} and len(etcd.found) == 2


# The cluster


def test_an_unlock_key_is_there_exactly_while_managers_are_locked(store):
    first = cluster.only(store)
    assert cluster.unlock_key(first) is None
    locked = {"EncryptionConfig": {"AutoLockManagers": True}}
    second = cluster.update(store, first.revision, locked, {})
    third = cluster.update(store, second.revision, locked, {"Unlock": True})
    assert cluster.unlock_key(second) not in (None, cluster.unlock_key(third))
    assert cluster.unlock_key(cluster.update(store, third.revision, {}, {})) is None


def test_a_cluster_is_changed_from_its_last_version_only(store):
    with pytest.raises(MinidockError, match="update out of sequence"):
        cluster.update(store, 77, {}, {})
    with pytest.raises(UsageError, match='must be named "default"'):
        cluster.update(store, cluster.only(store).revision, {"Name": "x"}, {})


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"CAConfig": {"NodeCertExpiry": 1}}, "minimum certificate expiry time"),
        ({"CAConfig": {"ExternalCAs": [{"URL": "x"}]}}, "external-ca is not supported"),
        ({"Raft": {"ElectionTick": 3}}, "ElectionTick can't be changed"),
        ({"Dispatcher": {"HeartbeatPeriod": -1}}, "invalid HeartbeatPeriod"),
    ],
)
def test_settings_that_cannot_be_are_refused(spec, words):
    with pytest.raises(UsageError, match=words):
        cluster.checked(spec)


# Nodes


def test_nodes_are_found_by_id_host_name_and_beginning(store):
    store.create("node", "aab", nodes.new("worker", "active", "127.0.0.2"))
    assert nodes.find(store, "one").id == "aaa"
    assert nodes.find(store, "aab").id == "aab"
    with pytest.raises(UsageError, match=r"ambiguous \(2 matches"):
        nodes.find(store, "aa")
    with pytest.raises(NotFound, match="node x not found"):
        nodes.find(store, "x")


def test_filters_of_nodes(store):
    assert len(nodes.listed(store, {"role": ["manager"], "name": ["o"]})) == 1
    assert nodes.listed(store, {"role": ["worker"]}) == []
    with pytest.raises(UsageError, match="Invalid filter 'foo'"):
        nodes.listed(store, {"foo": ["x"]})


def test_the_last_manager_stays_one(store):
    node = nodes.find(store, "aaa")
    with pytest.raises(UsageError, match="attempting to demote the last manager"):
        nodes.update(store, "aaa", node.revision, {"Role": "worker", "Availability": "active"})
    with pytest.raises(UsageError, match="must be demoted to worker before removal"):
        nodes.remove(store, "aaa", force=True)


def test_a_worker_goes_when_it_is_down_or_by_force(store):
    store.create("node", "b", nodes.new("worker", "active", "127.0.0.2"))
    nodes.change(store, "b", Status={"State": "ready"})
    with pytest.raises(UsageError, match="is not down and can't be removed"):
        nodes.remove(store, "b", force=False)
    nodes.change(store, "b", Status={"State": "down"})
    nodes.remove(store, "b", force=False)
    assert store.get("node", "b") is None


def test_since_when_a_node_is_down_is_noted_and_shown_to_nobody(store):
    dispatcher._gone(store, "aaa", "heartbeat failure")
    node = store.get("node", "aaa")
    assert node.body["Status"]["State"] == "down" and node.body["Aside"][nodes.DOWN_SINCE] > 0
    assert "Aside" not in nodes.shown(node)
    dispatcher._describe(store, "aaa", {"Hostname": "one"}, {"State": "ready", "Message": None}, {})
    assert store.get("node", "aaa").body["Aside"] == {}


# Secrets and configs


def test_what_a_secret_holds_is_shown_to_nobody(store):
    made = kept.create(store, kept.SECRET, {"Name": "s", "Data": HELLO})
    assert kept.shown(made)["Spec"] == {"Name": "s", "Labels": {}}
    assert kept.shown(kept.create(store, kept.CONFIG, {"Name": "s", "Data": HELLO}))["Spec"]["Data"] == HELLO


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"Name": "", "Data": HELLO}, "name must be provided"),
        ({"Name": "b!", "Data": HELLO}, "invalid name"),
        ({"Name": "x" * 65, "Data": HELLO}, "invalid name"),
        ({"Name": "b"}, "must be larger than 0 and less than 512000 bytes"),
        ({"Name": "b", "Data": "!!"}, "illegal base64 data at input byte 0"),
        ({"Name": "b", "Data": HELLO, "Driver": {"Name": "foo"}}, 'plugin "foo" not found'),
    ],
)
def test_what_can_be_no_secret_is_refused(store, given, words):
    with pytest.raises(MinidockError, match=words):
        kept.create(store, kept.SECRET, given)


def test_only_labels_of_a_secret_change(store):
    made = kept.create(store, kept.SECRET, {"Name": "s", "Data": HELLO})
    changed = kept.update(store, kept.SECRET, "s", made.revision, {"Name": "s", "Labels": {"a": "b"}})
    assert changed.body["Spec"] == {"Name": "s", "Labels": {"a": "b"}, "Data": HELLO}
    with pytest.raises(UsageError, match="only updates to Labels"):
        kept.update(store, kept.SECRET, "s", changed.revision, {"Name": "t"})
    with pytest.raises(Conflict, match="secret s already exists"):
        kept.create(store, kept.SECRET, {"Name": "s", "Data": HELLO})


def test_a_secret_in_use_stays(store):
    made = kept.create(store, kept.SECRET, {"Name": "s", "Data": HELLO})
    container = {"Secrets": [{"SecretID": made.id, "SecretName": "s"}]}
    store.create("service", "x", {"Spec": {"Name": "web", "TaskTemplate": {"ContainerSpec": container}}})
    with pytest.raises(UsageError, match="secret 's' is in use by the following service: web"):
        kept.remove(store, kept.SECRET, "s")


# Assignments


def a_task(node, state, **more):
    return {"NodeID": node, "Status": {"State": state}, "DesiredState": "running", "Spec": {}, **more}


def test_a_node_is_told_its_own_tasks_with_what_they_use(store):
    secret = kept.create(store, kept.SECRET, {"Name": "s", "Data": HELLO})
    kept.create(store, kept.SECRET, {"Name": "other", "Data": HELLO})
    spec = {"ContainerSpec": {"Secrets": [{"SecretID": secret.id}]}}
    store.create("task", "t1", a_task("aaa", "assigned", Spec=spec))
    store.create("task", "t2", a_task("aaa", "pending"))
    store.create("task", "t3", a_task("bbb", "assigned"))
    found = assignments.of(store, "aaa")
    assert [task["ID"] for task in found["tasks"]] == ["t1"]
    assert {id: spec["Data"] for id, spec in found["secrets"].items()} == {secret.id: HELLO}


@pytest.mark.parametrize("over", [{"Status": {"State": "failed"}}, {"DesiredState": "shutdown"}])
def test_of_a_task_that_is_over_a_node_is_told_no_secret_any_more(store, over):
    secret = kept.create(store, kept.SECRET, {"Name": "s", "Data": HELLO})
    spec = {"ContainerSpec": {"Secrets": [{"SecretID": secret.id}]}}
    store.create("task", "t1", {**a_task("aaa", "running", Spec=spec), **over})
    found = assignments.of(store, "aaa")
    assert [task["ID"] for task in found["tasks"]] == ["t1"]
    assert found["secrets"] == {}


def test_what_a_node_says_of_its_tasks_is_no_news_to_it_and_never_goes_back(store):
    store.create("task", "t1", a_task("aaa", "assigned"))
    before = assignments.of(store, "aaa")["version"]
    assignments.report(store, "aaa", {"t1": {"State": "running"}})
    assignments.report(store, "aaa", {"t1": {"State": "starting"}})
    assignments.report(store, "bbb", {"t1": {"State": "failed"}})
    task = store.get("task", "t1")
    assert task is not None and task.body["Status"]["State"] == "running"
    assert assignments.of(store, "aaa")["version"] == before


# A daemon that ends


def test_who_stops_does_not_wait_for_a_change_of_role(tmp_path):
    async def story():
        around = Surroundings(Layout(tmp_path), lambda store, now: None, lambda happening: None)
        mine = Membership(around, None, None)

        async def change():
            async with mine._one:
                await asyncio.sleep(3600)

        mine._changing = asyncio.create_task(change())
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await mine.close()
        assert mine._changing is None or mine._changing.cancelled()

    asyncio.run(story())


# Events


def test_changes_of_a_node_are_told_as_docker_does(store):
    memory = Memory()
    old = nodes.find(store, "aaa")
    memory.learn(old)
    new = nodes.change(store, "aaa", Status={"State": "ready"})
    quiet = nodes.change(store, "aaa", Description={"Engine": {}})
    told = [list(memory.told(Change("node", "aaa", stored, 1))) for stored in (new, quiet, None)]
    attributes = {"name": "one", "state.old": "unknown", "state.new": "ready"}
    assert [(one.action, one.attributes) for one in told[0]] == [("update", attributes)]
    assert told[1] == []
    assert [one.action for one in told[2]] == ["remove"]


# Addresses


def test_addresses_get_dockers_port_and_texts():
    assert listening("0.0.0.0") == "0.0.0.0:2377"
    assert listening("[::1]:2400") == "[::1]:2400"
    assert advertised("10.0.0.1", "0.0.0.0:2400") == "10.0.0.1:2400"
    assert advertised("", "127.0.0.2:2400") == "127.0.0.2:2400"
    with pytest.raises(UsageError, match='invalid ListenAddr "": invalid empty address'):
        listening("")
    with pytest.raises(UsageError, match="could not parse listen address x:y:z"):
        listening("x:y:z")


def test_an_address_may_be_an_interface():
    assert advertised("lo", "0.0.0.0:2400") == "127.0.0.1:2400"
    assert listening("lo:2400") == "127.0.0.1:2400"
    problem = r"advertise address must be a non-zero IP address or network interface \(with optional port number\)"
    for bad in ("nosuch0", "0.0.0.0", "nosuch0:2400"):
        with pytest.raises(UsageError, match=problem):
            advertised(bad, "0.0.0.0:2400")
    with pytest.raises(UsageError, match="listen address must be an IP address or network interface"):
        listening("nosuch0")


def test_the_address_of_the_data_path_may_be_an_interface():
    assert (addresses.data_path(""), addresses.data_path("lo")) == ("", "127.0.0.1")
    with pytest.raises(UsageError, match=r"non-zero IP address or network interface \(without a port number\)"):
        addresses.data_path("nosuch0")


def test_an_interface_with_two_addresses_says_which(monkeypatch):
    monkeypatch.setattr(addresses, "_ipv4", lambda name: ["10.0.0.1", "10.0.0.2"])
    with pytest.raises(UsageError, match=r"interface lo has more than one IPv4 address \(10.0.0.1 and 10.0.0.2\)"):
        advertised("lo", "0.0.0.0:2400")
    monkeypatch.setattr(addresses, "_ipv4", lambda name: [])
    monkeypatch.setattr(addresses, "_ipv6", lambda name: ["fd00::1"])
    assert advertised("lo", "0.0.0.0:2400") == "[fd00::1]:2400"
    monkeypatch.setattr(addresses, "_ipv6", lambda name: [])
    with pytest.raises(UsageError, match="interface lo has no usable IPv4 or IPv6 addresses"):
        advertised("lo", "0.0.0.0:2400")
