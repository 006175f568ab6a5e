"""What a manager answers on its port (2377) to the swarm's other nodes.

    ca, certificate               of who joins: the root certificate; a certificate for a token, or for an older one
    leader                        who leads: all below is asked of the leader
    session, heartbeat            a node is there, and what it is; it is still there
    assignments                   what the node is to run: the answer waits until there is something new
    tasks                         how the node's tasks are
    leave                         it goes
    logs/listen, logs/publish     which of its logs somebody wants to read, and their lines
    logs/subscribe                of a manager: logs of tasks on other nodes (broker.py)
    managers/add, managers/vote   of a new manager: a place in etcd

A node's name is in its certificate; nothing it says about itself is believed. What blocks (etcd) is done in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from minidock.errors import Conflict, MinidockError, NotFound, UsageError
from minidock.swarm import admission, assignments, ca, cluster, nodes, wire
from minidock.swarm.board import ASIDE
from minidock.swarm.broker import Broker, Subscription
from minidock.swarm.etcd import Unavailable
from minidock.swarm.etcd_store import EtcdStore
from minidock.swarm.leader import Leadership, ruler
from minidock.swarm.node import Node, split
from minidock.swarm.objects import Body
from minidock.swarm.pulse import Pulse
from minidock.swarm.store import Store

Handler = Callable[[web.Request], Awaitable[web.Response]]
Answer = Callable[[web.Request, ca.Identity, Body], Awaitable[Body]]
LONGEST_WAIT = 10.0
"""Seconds that a question for assignments waits: then nothing is new, and it is asked again."""
LOOK = 2.0
"""Seconds without a line after which is looked whether the nodes are still there; who asked sees that we are, too."""
MISSED = 3
"""Heartbeats after which a node is down."""
STATUS = ((Unavailable, 503), (UsageError, 400), (NotFound, 404), (Conflict, 409), (MinidockError, 500))


class Dispatcher:
    """Of one manager. `pulse` beats at every change of the store."""

    def __init__(self, store: EtcdStore, node: Node, leadership: Leadership, pulse: Pulse) -> None:
        self.store = store
        self.node = node
        self.leadership = leadership
        self.pulse = pulse
        self.broker = Broker()
        self._heard: dict[str, float] = {}
        self._runner: web.AppRunner | None = None

    async def listen(self, context: ssl.SSLContext) -> None:
        """Raises MinidockError for an address that can't be had."""
        app = web.Application(client_max_size=8 << 20)
        for path, answer, only_leader in (
            ("certificate", self._certificate, False),
            ("leader", self._leader, False),
            ("session", self._session, True),
            ("heartbeat", self._heartbeat, True),
            ("assignments", self._assignments, True),
            ("tasks", self._tasks, True),
            ("leave", self._leave, True),
            ("logs/listen", self._log_listen, True),
            ("logs/publish", self._log_publish, True),
            ("managers/add", self._add_manager, False),
            ("managers/vote", self._vote, False),
        ):
            app.router.add_post(f"/v1/{path}", self._handler(path, answer, only_leader))
        app.router.add_post("/v1/ca", self._root)
        app.router.add_post("/v1/logs/subscribe", self._log_subscribe)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        host, port = split(self.node.listen)
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=context).start()
        except OSError as error:
            await self._runner.cleanup()
            why = (error.strerror or str(error)).lower()
            raise MinidockError(
                f"failed to listen on remote API address: listen tcp {self.node.listen}: {why}"
            ) from None

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def forget(self) -> None:
        """The rule has come to us: nobody has missed a heartbeat of ours yet."""
        self._heard = {}

    def _handler(
        self, path: str, answer: Answer, only_leader: bool
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            who = self._who(request)
            if who is None and path != "certificate":
                return _said({"message": "a certificate of this swarm is needed"}, 401)
            if only_leader and not self.leadership.leads.is_set():
                return _said({"message": "this manager doesn't lead the swarm"}, wire.ELSEWHERE)
            try:
                body = await request.json()
                if not isinstance(body, dict):
                    raise UsageError("a question is an object")
                return _said(await answer(request, who or ca.Identity("", "", ""), body))
            except MinidockError as error:
                return _said({"message": error.message}, next(code for kind, code in STATUS if isinstance(error, kind)))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                return _said({"message": f"a question that can't be understood: {error}"}, 400)

        return handle

    def _who(self, request: web.Request) -> ca.Identity | None:
        certificate: Any = request.transport.get_extra_info("peercert") if request.transport else None
        if not certificate:
            return None
        found = ca.identity(certificate["subject"])
        return found if found.role and found.cluster == self.node.cluster else None

    # Who joins

    async def _root(self, request: web.Request) -> web.Response:
        return _said({"certificate": self.node.root_ca})

    async def _certificate(self, request: web.Request, who: ca.Identity, body: Body) -> Body:
        wish = msgspec.convert(body, admission.Wish)
        remote = request.remote or ""
        if wish.token:
            return await asyncio.to_thread(admission.admit, self.store, wish, remote)
        if not who.node:
            raise UsageError("invalid join token")
        return await asyncio.to_thread(admission.renew, self.store, wish, who, remote)

    async def _add_manager(self, request: web.Request, who: ca.Identity, body: Body) -> Body:
        await asyncio.to_thread(_only_managers, self.store, who)
        return await asyncio.to_thread(admission.add_manager, self.store, who.node, body["peer_url"])

    async def _vote(self, request: web.Request, who: ca.Identity, body: Body) -> Body:
        await asyncio.to_thread(_only_managers, self.store, who)
        return {"done": await asyncio.to_thread(admission.give_vote, self.store.etcd, body["peer_url"])}

    # Who is in

    async def _leader(self, request: web.Request, who: ca.Identity, body: Body) -> Body:
        found = await asyncio.to_thread(ruler, self.store)
        return {"address": found.address if found else ""}

    async def _session(self, request: web.Request, who: ca.Identity, body: Body) -> Body:
        if await asyncio.to_thread(self.store.get, "node", who.node) is None:
            raise NotFound(f"node {who.node} not found")
        self._heard[who.node] = time.monotonic()
        status = {"State": "ready", "Addr": body["address"], "Message": None}
        notes = {nodes.DATA_PATH: body.get("data_path") or None}
        await asyncio.to_thread(_describe, self.store, who.node, body["description"], status, notes)
        return await self._news(who.node)

    async def _heartbeat(self, request: web.Request, who: ca.Identity, body: Body) -> Body:
        if who.node not in self._heard:
            raise Conflict("no session: this leader is new")
        self._heard[who.node] = time.monotonic()
        return await self._news(who.node)

    async def _news(self, id: str) -> Body:
        return await asyncio.to_thread(assignments.news, self.store, id)

    async def _assignments(self, request: web.Request, who: ca.Identity, body: Body) -> Body:
        """At once when they differ from what the node has seen, else as soon as they do."""
        deadline = time.monotonic() + LONGEST_WAIT
        while True:
            changed = self.pulse.armed()
            found = await asyncio.to_thread(assignments.of, self.store, who.node)
            if found["version"] != body.get("seen") or time.monotonic() > deadline:
                changed.cancel()
                return found
            await Pulse.within(changed, max(0.1, deadline - time.monotonic()))

    async def _tasks(self, request: web.Request, who: ca.Identity, body: Body) -> Body:
        await asyncio.to_thread(assignments.report, self.store, who.node, body["updates"])
        return {}

    async def _leave(self, request: web.Request, who: ca.Identity, body: Body) -> Body:
        self._heard.pop(who.node, None)
        await asyncio.to_thread(_gone, self.store, who.node, "node left the swarm")
        return {}

    # Logs

    async def _log_listen(self, request: web.Request, who: ca.Identity, body: Body) -> Body:
        """At once when it isn't what the node has seen, else as soon as it is."""
        deadline = time.monotonic() + LONGEST_WAIT
        while True:
            changed = self.broker.changed.armed()
            wanted = self.broker.of(who.node)
            version = " ".join(["v", *wanted])
            if version != body.get("seen") or time.monotonic() > deadline:
                changed.cancel()
                return {"wanted": wanted, "version": version}
            await Pulse.within(changed, max(0.1, deadline - time.monotonic()))

    async def _log_publish(self, request: web.Request, who: ca.Identity, body: Body) -> Body:
        return {"open": await self.broker.publish(who.node, body)}

    async def _log_subscribe(self, request: web.Request) -> web.StreamResponse:
        who = self._who(request)
        try:
            if who is None or not self.leadership.leads.is_set():
                raise Conflict("only the swarm's leader, and of a node of the swarm, can be asked for logs")
            await asyncio.to_thread(_only_managers, self.store, who)
            said = await request.json()
            subscription = Subscription(said["tasks"], said["wanted"])
        except (MinidockError, ValueError, KeyError, TypeError, AttributeError) as error:
            return _said({"message": str(error)}, 400)
        response = web.StreamResponse()
        await response.prepare(request)
        self.broker.begin(subscription)
        try:
            with contextlib.suppress(ConnectionError):  # nobody reads it any more
                while (message := await self._told(subscription)) is not None:
                    await response.write(json.dumps(message).encode() + b"\n")
        finally:
            self.broker.end(subscription)
        return response

    async def _told(self, subscription: Subscription) -> Body | None:
        """The next message; an empty one when none has come for a while; None when all nodes have ended."""
        if not subscription.nodes and subscription.empty():
            return None
        return await subscription.next(LOOK) or await self._silent(subscription)

    async def _silent(self, subscription: Subscription) -> Body:
        """Nothing has come for a while: who can't say anything any more is told of, and no longer waited for."""
        if not self.leadership.leads.is_set():
            subscription.nodes.clear()
            return {"error": "the swarm has another leader now"}
        known = {node.id: node for node in await asyncio.to_thread(self.store.all, "node")}
        gone = [
            id for id in sorted(subscription.nodes) if id not in known or known[id].body["Status"]["State"] != "ready"
        ]
        subscription.nodes.difference_update(gone)
        return {"error": "; ".join(f"node {id} is not available" for id in gone)}

    # Who doesn't say anything any more

    def missed(self) -> None:
        """Nodes that have been silent for too long are down. Blocks; the leader's."""
        patience = MISSED * cluster.heartbeat(cluster.only(self.store))
        now = time.monotonic()
        for node in self.store.all("node"):
            heard = self._heard.setdefault(node.id, now) if node.body["Status"]["State"] != "down" else now
            if now - heard > patience:
                self._heard.pop(node.id, None)
                _gone(self.store, node.id, "heartbeat failure")


def _only_managers(store: EtcdStore, who: ca.Identity) -> None:
    """By what people want of the node now: a certificate lasts longer than that."""
    node = store.get("node", who.node)
    if who.role != "manager" or node is None or node.body["Spec"]["Role"] != "manager":
        raise UsageError("only managers may be members of the swarm's store")


def _describe(store: Store, id: str, description: Body, status: Body, notes: Body) -> None:
    said = {"Description": description, "Status": status, ASIDE: {**notes, nodes.DOWN_SINCE: None}}
    nodes.change(store, id, **said, **_reachability(store, id, "reachable"))


def _gone(store: Store, id: str, why: str) -> None:
    notes, status = {nodes.DOWN_SINCE: time.time()}, {"State": "down", "Message": why}
    nodes.change(store, id, **{"Status": status, ASIDE: notes}, **_reachability(store, id, "unreachable"))


def _reachability(store: Store, id: str, how: str) -> Body:
    """Of those that manage: a manager's old certificate alone makes none."""
    node = store.get("node", id)
    return {"ManagerStatus": {"Reachability": how}} if node is not None and node.body.get("ManagerStatus") else {}


def _said(body: Body, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")
