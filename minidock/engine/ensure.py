"""The image of a container to be: it is here, or a recipe makes it, or a registry has it."""

from __future__ import annotations

from collections.abc import Callable

from minidock.engine import events
from minidock.errors import ImageNotFound, InvalidImage, Unreachable, UsageError
from minidock.image import reference
from minidock.image.store import Image, ImageStore
from minidock.model import Progress
from minidock.paths import Layout


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
    """Have the image: it is here, or a recipe makes it, or a registry has it. Raises ImageNotFound, RegistryError.

    A recipe comes before Docker Hub, so that the first `run` works without any network; a registry that somebody
    has set up as a mirror comes before the recipe, and so does every registry with --pull always.
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
        if _recipe(name) and not _has_mirror(layout):
            return _build(layout, store, name, say)
    from minidock.engine import registries

    try:
        registries.pull(layout, name, platform=platform, tell=tell, auth=auth)
    except Unreachable as error:
        if not _recipe(name):
            from minidock.image import builtin

            hint = f"minidock load brings images from archives; built in are {', '.join(sorted(builtin.names()))}"
            raise Unreachable(error.message, hint=error.hint or hint) from error
        say(f"{error.message}; going on with the built-in image")
        _build(layout, store, name, say)
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
