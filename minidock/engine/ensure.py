"""The image of a container to be: it is here, or a registry has it, or a recipe makes it."""

from __future__ import annotations

import sys
from collections.abc import Callable

from minidock.engine import events
from minidock.errors import ImageNotFound, InvalidImage, RegistryError, Unreachable, UsageError
from minidock.image import reference
from minidock.image.store import Image, ImageStore
from minidock.model.events import Progress
from minidock.paths import Layout

PATIENCE = 2.0
"""Seconds that a registry has to answer before a recipe takes its place."""


def ensure(
    layout: Layout,
    name: str,
    *,
    policy: str,
    platform: str,
    say: Callable[[str], None],
    tell: Callable[[Progress], None],
    auth: dict[str, str] | None = None,
) -> None:
    """Have the image: it is here, or a registry has it, or a recipe makes it. Raises ImageNotFound, RegistryError.

    The first `run` must work without any network, and at once: where there is a recipe, Docker Hub is asked only when
    it answers within two seconds.
    """
    store = ImageStore(layout)
    if policy not in ("always", "missing", "never"):
        raise UsageError(f'invalid pull option: \'{policy}\': must be one of "always", "missing" or "never"')
    if policy != "always":
        try:
            _check_platform(name, store.find(name), platform)
            return None
        except ImageNotFound:
            if policy == "never" or _is_identifier(name):
                raise
        say(f"Unable to find image '{reference.familiar(reference.normalise(name))}' locally")
        if _recipe(name) and not _has_mirror(layout) and not _hub_answers():
            return _build(layout, store, name, say)
    from minidock.engine import registries

    try:
        registries.pull(layout, name, platform=platform, tell=tell, auth=auth)
    except RegistryError as error:
        away = isinstance(error, Unreachable)
        if _recipe(name) and (away or policy != "always"):
            say(f"{error.message}; going on with the built-in image")
            return _build(layout, store, name, say)
        if not away:
            raise
        from minidock.image import builtin

        hint = f"minidock load brings images from archives; built in are {', '.join(sorted(builtin.names()))}"
        raise Unreachable(error.message, hint=error.hint or hint) from error
    return None


def _is_identifier(name: str) -> bool:
    """An id names an image that is here, or none."""
    return name.startswith("sha256:") or (len(name) == 64 and reference.is_identifier(name))


def _recipe(name: str) -> str:
    """The built-in image that the name means, if any."""
    from minidock.image import builtin

    familiar, _, tag = reference.familiar(name).partition(":")
    return familiar if familiar in builtin.names() and tag in ("", "latest") else ""


def _has_mirror(layout: Layout) -> bool:
    from minidock.image.registry import names

    return bool(names.settings(layout).registry_mirrors)


def _hub_answers() -> bool:
    """Whether Docker Hub takes a connection. Another process asks: only its end cuts a look-up of a name short."""
    from urllib.request import getproxies

    if getproxies():
        return True  # it isn't reached directly
    import subprocess

    from minidock.image.registry.names import HUB_HOST

    ask = f"import socket; socket.create_connection(({HUB_HOST!r}, 443), {PATIENCE}).close()"
    try:
        done = subprocess.run([sys.executable, "-I", "-S", "-c", ask], stderr=subprocess.DEVNULL, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _build(layout: Layout, store: ImageStore, name: str, say: Callable[[str], None]) -> None:
    from minidock.image import builtin

    try:
        store.find(name)
    except ImageNotFound:
        builtin.build(store, _recipe(name), say=say)
        image = store.find(name)
        events.image(layout, "import", image.id, labels=image.config.config.labels)


def _check_platform(name: str, image: Image, asked: str) -> None:
    """Raises InvalidImage when --platform names another one than the image that is here has."""
    if not asked:
        return
    from minidock.image.platforms import parse_platform

    wanted = parse_platform(asked)
    if (image.os, image.architecture) != (wanted.os, wanted.architecture):
        raise InvalidImage(
            f"image with reference {name} was found but its platform ({image.platform}) does not match the specified "
            f"platform ({wanted.os}/{wanted.architecture})"
        )
