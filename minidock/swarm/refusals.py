"""What a node that isn't what it would have to be answers: the texts of moby daemon/cluster/errors.go and swarm.go."""

from __future__ import annotations

from minidock.errors import MinidockError


class NotAvailable(MinidockError):
    """The node isn't what it would have to be: HTTP 503."""


NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)
NO_MEMBER = "This node is not part of a swarm"
WORKER = (
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. "
    "Please run this command on a manager node or promote the current node to a manager."
)
ALREADY = 'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.'
LOCKED = (
    'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.'
)
STARTING = (
    "This node is a manager that can't reach the others at the moment, or is still starting. Make sure more than half "
    "of the managers are online."
)
LEAVING = "You are attempting to leave the swarm on a node that is participating as a manager. "
LAST = "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. "
QUORUM = (
    "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. "
    "Use `--force` to suppress this message."
)
