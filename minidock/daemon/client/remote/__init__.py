"""The engine's verbs on another daemon: a table of contents like the engine's own, one file an idea.

mypy holds each method against Engine's. What isn't here would work on this host's files: it finds no `layout`, and says
so. tests/unit/test_remote_engine.py has the list of those that stay here, and no other may be missing.
"""

from __future__ import annotations

from minidock.daemon.client.remote.images import RemoteImages
from minidock.daemon.client.remote.lives import RemoteLives
from minidock.daemon.client.remote.looking import RemoteLooking
from minidock.daemon.client.remote.refused import RemoteRefused
from minidock.daemon.client.remote.registries import RemoteRegistries
from minidock.daemon.client.remote.stores import RemoteStores


class RemoteEngine(RemoteLives, RemoteLooking, RemoteImages, RemoteRegistries, RemoteStores, RemoteRefused):
    """What the command line has instead of an Engine when -H, DOCKER_HOST or a context name a daemon."""
