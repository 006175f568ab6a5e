"""The hooks of a CDI device that run beside the container's life and not in its making: poststart and poststop.

The four before the command are steps of the plan (runtime/plan.py). poststart comes once the command runs, and one that
fails ends the container, as with runc; poststop comes once everything is undone, and one that fails is only told.
Whoever cleans up runs it, and a killed clean-up is done anew: so a poststop hook may run twice.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from minidock import spec, steps
from minidock.errors import MinidockError
from minidock.paths import Layout
from minidock.steps import Live, Narrator


class _Kept(msgspec.Struct, frozen=True):
    """Of the config.json in the run directory, what is wanted here."""

    hooks: spec.Hooks | None = None


def state(bundle: Path, container_id: str, status: str) -> dict[str, object]:
    """What the hooks are told: the bundle is the run directory, which has config.json and rootfs."""
    return {"ociVersion": "1.2.0", "id": container_id, "status": status, "bundle": str(bundle), "annotations": {}}


def poststart(layout: Layout, container_id: str, config: spec.Spec, pid: int, narrator: Narrator) -> None:
    """Raises MinidockError for one that fails; the caller then ends the container."""
    if config.hooks and config.hooks.poststart:
        from minidock.kernel import hooks

        bundle = layout.container_run(container_id)
        told = state(bundle, container_id, "running")
        step = hooks.RunHooks("poststart", config.hooks.poststart, told, str(bundle))
        steps.apply_all([step], Live(pid), narrator)


def poststop(layout: Layout, container_id: str) -> str:
    """What went wrong, in one sentence; empty when nothing did, or there is no such hook."""
    bundle = layout.container_run(container_id)
    with contextlib.suppress(FileNotFoundError):
        raw = (bundle / "config.json").read_bytes()
        if b'"poststop"' not in raw:  # every container ends here: most have nothing to parse
            return ""
        from minidock.kernel import hooks

        kept = msgspec.json.decode(raw, type=_Kept).hooks or spec.Hooks()
        try:
            hooks.run("poststop", kept.poststop, state(bundle, container_id, "stopped"), 0, str(bundle))
        except MinidockError as error:
            return str(error)
    return ""
