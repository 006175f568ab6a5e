"""network connect and disconnect: a container's list of networks, and what it has of them while it runs."""

from __future__ import annotations

import contextlib
import functools

from minidock import files, network, steps
from minidock.engine import etc, networks, rootless, services
from minidock.engine.record import Record, Records, alive, refresh, replace
from minidock.errors import Conflict, ContainerNotFound, Forbidden, NetworkNotFound, NotFound, UsageError
from minidock.model.network import EndpointSettings, interface_sysctls
from minidock.network import addresses, attachment, config_only, connection, names, ports, store
from minidock.network.addresses import Published
from minidock.network.subnets import Network
from minidock.paths import Layout
from minidock.steps import Live


def connect(layout: Layout, ref: str, container: str, asked: EndpointSettings) -> None:
    """Put the container on the network: at once when it runs, else from its next start on."""
    rootless.no_bridge(layout)
    interface_sysctls(asked)
    records = Records(layout)
    record = refresh(layout, records.find(container))
    found = store.find(layout, ref)
    with records.locked(record.id):
        record = records.read(record.id)
        _check_connect(record, found)
        if found.name == "bridge":
            found = network.default_network(layout)
        wanted = {**networks.of(record), found.name: asked}
        wanted.pop("none", None)
        changed = replace(record, requested=wanted, isolated=False)
        if alive(record):
            changed = _join(layout, record, changed, found, asked)
            networks.tell(layout, found, "connect", record.id)
        elif asked.ipam_config and any(asked.ipam_config.get(key) for key, _ in attachment.FAMILIES):
            for key, six in attachment.FAMILIES:
                if address := asked.ipam_config.get(key):
                    addresses.asked_address(found, [], address, six=six)
        records.write(changed)


def _join(layout: Layout, record: Record, changed: Record, found: Network, asked: EndpointSettings) -> Record:
    """The running container on one network more, with its ports where that is its first way out."""
    run_dir, state, config = layout.container_run(record.id), record.state, record.config
    if found.name != "bridge":
        services.answer_names(run_dir, state.pid)
    after = [*_connected(layout, record), (found, asked)]
    published = connection.to_publish(layout, record.id, config, record.host_config, after, found)
    shown, made, there = connection.join(
        layout, found, asked, record.id, record.name, state.pid, config.hostname,
        published=published, hold=functools.partial(services.hold_ports, run_dir),
    )  # fmt: skip
    _write_journal(layout, record, [*_journal(layout, record), *made])
    changed = replace(changed, endpoints={**record.endpoints, found.name: shown})
    if there:
        changed = replace(changed, ports=ports.shown(config, there))
    _settle(layout, record, changed)
    return changed


def _check_connect(record: Record, found: Network) -> None:
    config_only.check_joining(found)
    mode = record.host_config.network_mode
    if mode == "host" or mode.startswith("container:"):
        raise Conflict(
            "container sharing network namespace with another container or host "
            "cannot be connected to any other network"
        )
    if found.name == "host":
        raise UsageError("container cannot be disconnected from host network or connected to host network")
    if (found.name == "none" or "none" in networks.of(record)) and not record.isolated:
        raise UsageError(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        )
    if found.name in networks.of(record):
        raise Forbidden(f"endpoint with name {record.name} already exists in network {found.name}")


def disconnect(layout: Layout, ref: str, container: str, *, force: bool) -> None:
    """Take the container off the network. With `force` also what a container that is gone has left there."""
    rootless.no_bridge(layout)
    records = Records(layout)
    try:
        record = refresh(layout, records.find(container))
    except ContainerNotFound:
        if not force:
            raise
        store.find(layout, ref)
        raise NotFound(f"endpoint {container} not found") from None
    found = _find_or_gone(layout, ref, record)
    with records.locked(record.id):
        record = records.read(record.id)
        wanted = networks.of(record)
        if found.name == "host" and "host" in wanted:
            raise Conflict("container cannot be disconnected from host network or connected to host network")
        if found.name not in wanted:
            the = "" if alive(record) else "the "  # Docker's words
            raise Conflict(f"container {record.id} is not connected to {the}network {found.name}")
        del wanted[found.name]
        changed = replace(record, requested=wanted, isolated=not wanted)
        if alive(record) and found.name != "none":
            left = {name: end for name, end in record.endpoints.items() if name != found.name}
            changed = replace(changed, endpoints=left)
            had = _leave(layout, record, changed, found)
            networks.tell(layout, found, "disconnect", record.id)
            if had:
                records.write(replace(changed, ports=dict.fromkeys(changed.ports)))
                changed = _republish(layout, changed, had)
        records.write(changed)


def _find_or_gone(layout: Layout, ref: str, record: Record) -> Network:
    """A network may have been removed while the container didn't run: it can still be taken off the list."""
    try:
        return store.find(layout, ref)
    except NetworkNotFound:
        if ref in networks.of(record) and not alive(record):
            return Network(ref, "", "", "")
        raise


def _leave(layout: Layout, record: Record, changed: Record, found: Network) -> list[Published]:
    """Off the network; the ports that were published there, which are the host's again."""
    claim = connection.leave(layout, found, record.id, record.state.pid)
    journal = _journal(layout, record)
    if claim is not None:
        journal = [step for step in journal if not connection.belongs(step, layout, found, claim)]
        if claim.ports:
            services.drop_ports(layout.container_run(record.id))
    _write_journal(layout, record, journal)
    _settle(layout, record, changed)
    return claim.ports if claim else []


def _republish(layout: Layout, record: Record, published: list[Published]) -> Record:
    """The ports on the network that is the way out now; without one they are published nowhere.

    Raises PortInUse when somebody was quicker: the container then runs on without them.
    """
    way_out = attachment.gateway_of(_connected(layout, record))
    if way_out is None:
        return replace(record, ports=dict.fromkeys(record.ports))
    hold = functools.partial(services.hold_ports, layout.container_run(record.id))
    moved = connection.move_ports(layout, record.id, published, way_out, hold)
    _write_journal(layout, record, [*_journal(layout, record), *moved])
    return record


def _settle(layout: Layout, before: Record, record: Record) -> None:
    """After a change: the way out, who is asked for names, and /etc/hosts."""
    connected = _connected(layout, record)
    connection.choose_way_out(record.state.pid, connected)
    way_out = attachment.gateway_of(connected)
    port = services.dns_port(layout.container_run(record.id))
    here = attachment.Attachment(
        addresses=_addresses(record),
        gateway=next((end.gateway for end in record.endpoints.values() if end.gateway), ""),
        named=sorted(
            (name for name in record.endpoints if name != "bridge" and port),
            key=lambda name: way_out is None or name != way_out.name,
        ),
        reaches_out=way_out is not None,
        dns_port=port,
    )
    if text := etc.name_server(layout, record, here):
        path = layout.container_run(record.id) / services.DNS_CONFIG
        files.write_atomic(path, text.encode(), durable=False)
        if here.named:
            names.AnswerNames(here.dns_port).apply(Live(record.state.pid))
    had = _addresses(before)
    gone = [address for address in had if address not in here.addresses]
    etc.update(layout, record, here, gone, [address for address in here.addresses if address not in had])


def _addresses(record: Record) -> list[str]:
    both = [(end.ip_address, end.global_ipv6_address) for end in record.endpoints.values()]
    return [address for pair in both for address in pair if address]


def _connected(layout: Layout, record: Record) -> list[tuple[Network, EndpointSettings]]:
    rows = []
    for name in record.endpoints:
        with contextlib.suppress(NetworkNotFound):
            rows.append((store.find(layout, name), record.requested.get(name, EndpointSettings())))
    return rows


def _journal(layout: Layout, record: Record) -> list[steps.Step]:
    return steps.from_journal((layout.container_run(record.id) / "journal.json").read_bytes())


def _write_journal(layout: Layout, record: Record, journal: list[steps.Step]) -> None:
    raw = steps.to_journal(filter(steps.takes_back, journal))
    files.write_atomic(layout.container_run(record.id) / "journal.json", raw, durable=False)
