"""Docker's verbs. The files of `verbs/` are the table of contents: each method names the module that does it."""

from __future__ import annotations

from minidock.engine.verbs.images import ImageVerbs
from minidock.engine.verbs.lives import LifeVerbs
from minidock.engine.verbs.looking import LookingVerbs
from minidock.engine.verbs.registries import RegistryVerbs
from minidock.engine.verbs.stores import StoreVerbs
from minidock.engine.verbs.system import SystemVerbs
from minidock.engine.verbs.telling import TellingVerbs


class Engine(LifeVerbs, LookingVerbs, TellingVerbs, ImageVerbs, RegistryVerbs, StoreVerbs, SystemVerbs):
    """One instance (a --root), without a daemon. Modules are imported by the verb that needs them: starting is fast."""
