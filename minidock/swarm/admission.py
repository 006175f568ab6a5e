"""Who is let in: certificates for those with a token or an old one, and a place in etcd for new managers."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from minidock.errors import Conflict, MinidockError, NotFound, UsageError
from minidock.swarm import ca, cluster, nodes, tokens
from minidock.swarm.etcd import Etcd, EtcdError, Unavailable
from minidock.swarm.etcd_store import EtcdStore
from minidock.swarm.objects import Body, new_id
from minidock.swarm.store import Store


class Wish(msgspec.Struct, frozen=True):
    """What a node sends that wants a certificate. `token` is for who has none yet."""

    request: str
    token: str = ""
    availability: str = "active"
    addresses: list[str] = []


def admit(store: Store, wish: Wish, remote: str) -> Body:
    """A new node, by its token. Raises UsageError for one that isn't good here (any more)."""
    current = cluster.only(store)
    role = cluster.role_of(current, tokens.parsed(wish.token).secret)
    if not role:
        raise UsageError(
            "rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster"
        )
    if wish.availability not in nodes.AVAILABILITIES:
        raise UsageError(f'invalid Availability: "{wish.availability}"')
    who = ca.Identity(new_id(), role, current.id)
    answer = _issued(store, wish, who, remote)
    store.create("node", who.node, nodes.new(role, wish.availability, remote))
    return answer


def renew(store: Store, wish: Wish, who: ca.Identity, remote: str) -> Body:
    """A node that is known, as what people want it to be now. Raises NotFound for one that was removed."""
    node = store.get("node", who.node)
    if node is None:
        raise NotFound(f"node {who.node} not found")
    role = nodes.role(node)
    return _issued(store, wish, ca.Identity(who.node, role, who.cluster), remote)


def _issued(store: Store, wish: Wish, who: ca.Identity, remote: str) -> Body:
    current = cluster.only(store)
    addresses = [*wish.addresses, remote]
    certificate = ca.issue(cluster.authority(current), wish.request, who, addresses, cluster.expiry(current))
    return {
        "node": who.node,
        "cluster": who.cluster,
        "role": who.role,
        "certificate": certificate,
        "root_ca": current.body["TLSInfo"]["TrustRoot"],
        "address": remote,
        "managers": addresses_of(store),
    }


def addresses_of(store: Store) -> list[str]:
    """Where managers are asked."""
    found = [(node.body.get("ManagerStatus") or {}).get("Addr") for node in nodes.managers(store)]
    return [address for address in found if address]


def add_manager(store: EtcdStore, id: str, peer_url: str) -> Body:
    """A learner in etcd; → what it needs to start its own, and the keys that managers have.

    Raises Conflict while another one joins: etcd takes them one by one.
    """
    known = [member for member in store.etcd.members() if peer_url in member.get("peerURLs", [])]
    if not known:
        try:
            store.etcd.add_learner(peer_url)
        except (EtcdError, Unavailable) as error:
            if "learner" in error.message or "unhealthy" in error.hint:
                raise Conflict("another manager is just joining: try again in a moment") from error
            raise
    current = cluster.only(store)
    members = {member.get("name") or id: url for member in store.etcd.members() for url in member["peerURLs"]}
    unlock = cluster.unlock_key(current)
    return {"members": members, "key": store.key, "unlock": base64.b64encode(unlock).decode() if unlock else ""}


def give_vote(etcd: Etcd, peer_url: str) -> bool:
    """Whether the learner has its vote: as soon as it has read what the others know."""
    for member in etcd.members():
        if peer_url in member.get("peerURLs", []):
            if not member.get("isLearner"):
                return True
            try:
                etcd.promote(member["ID"])
            except EtcdError:
                return False
            return True
    raise MinidockError("this manager was taken out of the swarm while it joined")


LEARNING = 120.0
"""Seconds: who joins gives up after half of that (enlisting.py)."""


def drop_stuck(etcd: Etcd, since: dict[str, float], now: float) -> None:
    """Take out learners that never got a vote: etcd has room for one, and whoever was killed as it joined keeps it.

    `since` is when each was seen first, by id, and is brought up to date.
    """
    learners = [member["ID"] for member in etcd.members() if member.get("isLearner")]
    for gone in since.keys() - set(learners):
        del since[gone]
    for id in learners:
        if now - since.setdefault(id, now) > LEARNING:
            etcd.remove_member(id)


def drop_member(etcd: Etcd, names: Sequence[str]) -> None:
    """Take managers out of etcd, where they are still in."""
    members = etcd.members()
    for member in members:
        if member.get("name") in names and len(members) > 1:
            etcd.remove_member(member["ID"])
