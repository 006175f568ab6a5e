"""service update: what was said of a service, changed; its tasks follow by rolling update. And: rollback, scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import MinidockError, UsageError
from . import swarm_api
from .commands import UNLIMITED, Complaint, verb
from .flags import Flag, boolean, many, refused, text, value
from .service_fields import BOTH, CONTAINER, SEVERAL, Body, _words, at, headers, put, several, singles, tagged
from .service_parts import FILES, NETWORK, PARTS, attachments, references

if TYPE_CHECKING:
    from ..daemon.client.api import Api

ALL = [*SEVERAL, *PARTS]
PLAIN = ("cap-add", "cap-drop")
"""Lists to which update only adds."""


def _adding() -> list[Flag]:
    found = []
    for field in (*ALL, *FILES, NETWORK):
        found.append(many(field.adding, "", f"Add or update: {field.help}", kind=field.kind, parse=field.parse))
        if field.name not in PLAIN:
            found.append(many(f"{field.name}-rm", "", f"Remove: {field.help}"))
    return found


@verb(
    "update",
    "Update a service",
    "[OPTIONS] SERVICE",
    flags=[
        text("image", "", "Service image tag", default=None),
        value("args", "", "Service command args", "command", _words),
        boolean("force", "", "Force update even if no changes require it"),
        boolean("rollback", "", "Rollback to previous specification"),
        *_adding(),
        *BOTH,
        refused("generic-resource-add", kind="list", why="can't be kept: nodes here offer no generic resources"),
        refused("generic-resource-rm", kind="list", why="can't be kept: nodes here offer no generic resources"),
    ],
    least=1,
    examples="""
        minidock service update --image nginx:1.27 --update-delay 10s web
        minidock service update --env-add LEVEL=debug --publish-rm 80 web
        minidock service update --rollback web
    """,
)
def update(arguments: list[str], **given: Any) -> None:  # noqa: ANN401 - the flags of the table
    api = swarm_api.api()
    service = swarm_api.named("services", arguments[0])
    spec = service["Spec"]
    if given["rollback"]:
        _sent(api, service, spec, rollback="previous")
    else:
        _change(api, spec, given)
        _sent(api, service, spec, headers=headers(at(spec, (*CONTAINER, "Image")), given))
    print(arguments[0], flush=True)
    _waited(api, service["ID"], given)


def _change(api: Api, spec: Body, given: Body) -> None:
    if given["image"] is not None:
        put(spec, (*CONTAINER, "Image"), tagged(given["image"]))
    if given["args"] is not None:
        put(spec, (*CONTAINER, "Args"), given["args"])
    if given["force"]:
        put(spec, ("TaskTemplate", "ForceUpdate"), int(at(spec, ("TaskTemplate", "ForceUpdate")) or 0) + 1)
    if given["replicas"] is not None:
        _scale(spec, given["replicas"])
    if given["max_concurrent"] is not None:
        if "ReplicatedJob" not in spec["Mode"]:
            raise UsageError("max-concurrent can only be specified with replicated-job mode")
        spec["Mode"]["ReplicatedJob"]["MaxConcurrent"] = given["max_concurrent"]
    singles(spec, given)
    for field in ALL:
        removed = given.get(f"{field.name}-rm".replace("-", "_")) or []
        several(spec, field, given[field.adding.replace("-", "_")], _spelled(field.name, removed))
    for field, kind in zip(FILES, ("Secret", "Config"), strict=True):
        several(spec, field, references(api, kind, given[f"{field.name}_add"]), given[f"{field.name}_rm"])
    gone = [each["Target"] for each in attachments(api, [{"Target": name} for name in given["network_rm"]])]
    several(spec, NETWORK, attachments(api, given["network_add"]), gone)


def _spelled(name: str, removed: list[str]) -> list[str]:
    """A port is removed by its number in the container; one without a protocol is TCP's."""
    return [word if "/" in word or name != "publish" else f"{word}/tcp" for word in removed]


def _scale(spec: Body, number: int) -> None:
    mode = spec["Mode"]
    if "Replicated" in mode:
        mode["Replicated"]["Replicas"] = number
    elif "ReplicatedJob" in mode:
        mode["ReplicatedJob"]["TotalCompletions"] = number
    else:
        raise UsageError("scale can only be used with replicated or replicated-job mode")


def _sent(api: Api, service: Body, spec: Body, *, headers: dict[str, str] | None = None, **query: object) -> None:
    query["version"] = service["Version"]["Index"]
    for warning in (
        api.json("POST", f"/services/{service['ID']}/update", query, spec, headers=headers)["Warnings"] or []
    ):
        from . import context

        context.say(warning)


def _waited(api: Api, id: str, given: Body) -> None:
    if not given["detach"]:
        from .service_progress import wait

        wait(api, id, quiet=given.get("quiet", False))


DETACH = boolean("detach", "d", "Exit immediately instead of waiting for the service to converge")


@verb(
    "rollback",
    "Revert changes to a service's configuration",
    "[OPTIONS] SERVICE",
    flags=[DETACH, boolean("quiet", "q", "Suppress progress output")],
    least=1,
    examples="minidock service rollback web",
)
def rollback(arguments: list[str], detach: bool, quiet: bool) -> None:
    api = swarm_api.api()
    service = swarm_api.named("services", arguments[0])
    _sent(api, service, service["Spec"], rollback="previous")
    print(arguments[0], flush=True)
    _waited(api, service["ID"], {"detach": detach, "quiet": quiet})


@verb(
    "scale",
    "Scale one or multiple replicated services",
    "SERVICE=REPLICAS [SERVICE=REPLICAS...]",
    flags=[DETACH],
    least=1,
    most=UNLIMITED,
    examples="minidock service scale web=5 db=1",
)
def scale(arguments: list[str], detach: bool) -> None:
    from . import context

    api = swarm_api.api()
    ids: list[str] = []

    def one(name: str, number: str) -> Callable[[str], None]:
        def act(_: str) -> None:
            try:
                service = swarm_api.named("services", name)
                _scale(service["Spec"], int(number))
                _sent(api, service, service["Spec"])
            except MinidockError as error:
                raise Complaint(f"{name}: {error.message}", 1) from None
            print(f"{name} scaled to {number}", flush=True)
            ids.append(service["ID"])

        return act

    for word in arguments:
        if not all(word.partition("=")):
            raise UsageError(f"invalid scale specifier '{word}'.\nSee 'minidock service scale --help'.")
    failed = []
    for word in arguments:
        name, _, number = word.partition("=")
        if not number.isdecimal():
            why = f'strconv.ParseUint: parsing "{number}": invalid syntax'
            raise MinidockError(f"{name}: invalid replicas value {number}: {why}")
        failed += context.each([name], one(name, number), show=False)
    for id in ids:
        _waited(api, id, {"detach": detach})
    context.fail_after(failed)
