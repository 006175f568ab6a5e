"""Networks that are configuration only (`--config-only`), and those made of them (`--config-from`)."""

from __future__ import annotations

import msgspec

from minidock.errors import Conflict, UsageError
from minidock.model.network import NetworkRequest
from minidock.network import subnets
from minidock.network.subnets import Network
from minidock.paths import Layout

FIELDS = "Network operator fields like [ ingress | internal | attachable | scope ] are not supported."
OF_ANOTHER = "are not supported if the network depends on a configuration network"


def check(asked: NetworkRequest) -> None:
    """Raises UsageError for what such networks can't have, in Docker's words."""
    if asked.config_only and (asked.ingress or asked.internal or asked.attachable or asked.scope):
        raise UsageError(f"configuration network can only contain network specific fields. {FIELDS}")
    if not asked.config_from:
        return
    if asked.config_only:
        raise UsageError("a configuration network cannot depend on another configuration network")
    own = asked.pools or asked.labels or asked.ipam_options or asked.enable_ipv6 or asked.ipam_driver != "default"
    if own:
        raise UsageError(f"user specified configurations {OF_ANOTHER}")
    if asked.options:
        raise UsageError(f"network driver options {OF_ANOTHER}")


def completed(layout: Layout, asked: NetworkRequest) -> NetworkRequest:
    """With what the configuration network says about addresses, options and labels."""
    if not asked.config_from:
        return asked
    known = next((each for each in subnets.everything(layout) if asked.config_from in (each.name, each.id)), None)
    source = known.asked if known else None
    if source is None or not source.config_only:
        raise UsageError(f'configuration network "{asked.config_from}" does not exist')
    return msgspec.structs.replace(
        asked,
        pools=source.pools,
        options=source.options,
        labels=source.labels,
        enable_ipv6=source.enable_ipv6,
        ipam_options=source.ipam_options,
    )


def check_joining(network: Network) -> None:
    """Raises UsageError: there is nothing that a container could be on."""
    if network.asked is not None and network.asked.config_only:
        raise UsageError("cannot create endpoint on configuration-only network")


def check_removing(layout: Layout, network: Network) -> None:
    """Raises Conflict while another network was made of this one."""
    asked = network.asked
    if asked is None or not asked.config_only:
        return
    made_of_it = [each.asked.config_from for each in subnets.everything(layout) if each.asked]
    if network.name in made_of_it or network.id in made_of_it:
        raise Conflict(f'error while removing network: configuration network "{network.name}" is in use')
