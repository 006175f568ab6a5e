"""What workers do: a verb of the daemon is a function of the engine, the call's arguments, and the way back.

What it returns becomes the JSON body of the answer. A verb that streams calls reply.begin() first, and writes to the
descriptors that came with the call.
"""

from __future__ import annotations

from minidock.daemon.verbs import builds, containers, images, networks, registries
from minidock.daemon.verbs.common import Verb, plainly
from minidock.engine import Engine

VERBS: dict[str, Verb] = {
    **containers.VERBS,
    **images.VERBS,
    **registries.VERBS,
    **builds.VERBS,
    **networks.VERBS,
    "version": plainly(Engine.version),
    "info": plainly(Engine.info),
    "restore": plainly(Engine.restore),
}
