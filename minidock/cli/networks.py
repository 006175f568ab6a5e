"""network create, ls, inspect, rm, prune, connect and disconnect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UsageError
from ..model.network import EndpointSettings, NetworkRequest
from . import context
from .commands import UNLIMITED, Complaint, Entry, Noun, verb
from .flags import boolean, explain, foretelling, many, number, text
from .parse_env import key_values
from .parse_networks import link as parse_link
from .parse_networks import pools, words_of
from .prune import until_moment
from .tables import Columns, Listing, group_filters, parse_filter
from .volumes import label_method

network = Noun(
    "network",
    "Manage networks",
    {
        "connect": Entry("networks:connect", "Connect a container to a network"),
        "create": Entry("networks:create", "Create a network"),
        "disconnect": Entry("networks:disconnect", "Disconnect a container from a network"),
        "inspect": Entry("networks:inspect", "Display detailed information on one or more networks"),
        "ls": Entry("networks:ls", "List networks"),
        "prune": Entry("networks:prune", "Remove all unused networks"),
        "rm": Entry("networks:rm", "Remove one or more networks"),
    },
    also={"list": "ls", "remove": "rm"},
)

HEADERS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}
RAW = [("network_id", "ID"), ("name", "Name"), ("driver", "Driver"), ("scope", "Scope")]
FILTERS: Mapping[str, tuple[str, ...] | None] = dict.fromkeys(
    ("dangling", "driver", "id", "label", "name", "scope", "type")
)


@verb(
    "create",
    "Create a network",
    "[OPTIONS] NETWORK",
    flags=[
        boolean("attachable", "", "Enable manual container attachment"),
        many("aux-address", "", "Auxiliary IPv4 or IPv6 addresses used by Network driver", kind="map"),
        text("config-from", "", "The network from which to copy the configuration"),
        boolean("config-only", "", "Create a configuration only network"),
        explain("Tell each step asked of the kernel as it happens (=json, =html)"),
        *foretelling(),
        text("driver", "d", "Driver to manage the Network (bridge, macvlan, ipvlan)", default="bridge"),
        many("gateway", "", "IPv4 or IPv6 Gateway for the master subnet", kind="strings"),
        boolean("ingress", "", "Create swarm routing-mesh network"),
        boolean("internal", "", "Restrict external access to the network"),
        many("ip-range", "", "Allocate container ip from a sub-range", kind="strings"),
        text("ipam-driver", "", "IP Address Management Driver", default="default"),
        many("ipam-opt", "", "Set IPAM driver specific options", kind="map"),
        boolean("ipv4", "", "Enable or disable IPv4 address assignment", default=True),
        boolean("ipv6", "", "Enable or disable IPv6 address assignment"),
        many("label", "", "Set metadata on a network"),
        many("opt", "o", "Set driver specific options", kind="map"),
        text("scope", "", "Control the network's scope"),
        many("subnet", "", "Subnet in CIDR format that represents a network segment", kind="strings"),
    ],
    least=1,
    examples="""
        minidock network create shop
        minidock network create --subnet 10.5.0.0/24 --gateway 10.5.0.254 --ip-range 10.5.0.128/25 shop
        minidock network create --internal --ipv6 back
        minidock network create -d macvlan -o parent=eth0 --subnet 192.0.2.0/24 wire
    """,
)
def create(
    arguments: list[str],
    attachable: bool,
    aux_address: list[str],
    config_from: str,
    config_only: bool,
    driver: str,
    explain: str,
    dry_run: bool,
    as_shell: bool,
    gateway: list[str],
    ingress: bool,
    internal: bool,
    ip_range: list[str],
    ipam_driver: str,
    ipam_opt: list[str],
    ipv4: bool,
    ipv6: bool,
    label: list[str],
    opt: list[str],
    scope: str,
    subnet: list[str],
) -> None:
    from .telling import foretell, narrating

    if not ipv4:
        raise UsageError("--ipv4=false is not supported by this version of minidock")
    asked = NetworkRequest(
        name=arguments[0],
        driver=driver,
        internal=internal,
        attachable=attachable,
        ingress=ingress,
        config_only=config_only,
        config_from=config_from,
        enable_ipv6=ipv6,
        ipam_driver=ipam_driver,
        ipam_options=key_values(ipam_opt),
        pools=pools(words_of(subnet), words_of(ip_range), words_of(gateway), key_values(aux_address)),
        options=key_values(opt),
        labels=key_values(label),
        scope=scope,
    )
    if dry_run or as_shell:
        foretell(context.engine().foretell_network(asked), as_shell=as_shell)
        return
    with narrating(explain) as told:
        print(context.engine().create_network(asked, narrator=told))


@verb(
    "ls",
    "List networks",
    "[OPTIONS]",
    flags=[
        many("filter", "f", 'Provide filter values (e.g. "driver=bridge")', kind="filter", parse=parse_filter),
        text("format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template"),
        boolean("no-trunc", "", "Do not truncate the output"),
        boolean("quiet", "q", "Only display network IDs"),
    ],
    aliases=("minidock network ls", "minidock network list"),
    examples="""
        minidock network ls
        minidock network ls --filter type=custom -q
    """,
)
def ls(filter: list[tuple[str, str]], format: str, no_trunc: bool, quiet: bool) -> None:
    found = context.engine().networks(filters=group_filters(filter, FILTERS))
    rows = [columns(one, no_trunc) for one in found]
    if quiet and not format:
        for row in rows:
            print(row["ID"]())
        return
    Listing("networkContext", HEADERS, raw=RAW, methods=label_method).show(
        rows, ["ID", "Name", "Driver", "Scope"], format
    )


def columns(one: dict[str, Any], no_trunc: bool) -> Columns:
    labels = ",".join(f"{key}={value}" for key, value in sorted(one["Labels"].items()))
    created = str(one["Created"]).replace("T", " ").replace("Z", " +0000 UTC")
    return {
        "ID": lambda: one["Id"] if no_trunc else one["Id"][:12],
        "Name": lambda: one["Name"],
        "Driver": lambda: one["Driver"],
        "Scope": lambda: one["Scope"],
        "IPv4": lambda: "true",
        "IPv6": lambda: str(one["EnableIPv6"]).lower(),
        "Internal": lambda: str(one["Internal"]).lower(),
        "Labels": lambda: labels,
        "CreatedAt": lambda: created,
    }


@verb(
    "inspect",
    "Display detailed information on one or more networks",
    "[OPTIONS] NETWORK [NETWORK...]",
    flags=[
        text("format", "f", "Format output using a custom template: 'json', or a Go template"),
        boolean("verbose", "v", "Verbose output for diagnostics"),
    ],
    least=1,
    most=UNLIMITED,
    examples="minidock network inspect -f '{{json .Containers}}' shop",
)
def inspect(arguments: list[str], format: str, verbose: bool) -> None:
    from .inspect import show

    show(arguments, format, context.engine().inspect_network)


@verb(
    "rm",
    "Remove one or more networks",
    "NETWORK [NETWORK...]",
    flags=[boolean("force", "f", "Do not error if the network does not exist")],
    least=1,
    most=UNLIMITED,
    aliases=("minidock network rm", "minidock network remove"),
    examples="minidock network rm shop",
)
def rm(arguments: list[str], force: bool) -> None:
    engine = context.engine()

    def act(name: str) -> bool:
        if force:
            from ..errors import NotFound

            try:
                engine.remove_network(name)
            except NotFound:
                return False
            return True
        engine.remove_network(name)
        return True

    if [name for name in context.each(arguments, act) if name]:
        # Docker's client ends with this line of its own here.
        raise Complaint("exit status 1", 1)


@verb(
    "prune",
    "Remove all unused networks",
    "[OPTIONS]",
    flags=[
        many("filter", "", 'Provide filter values (e.g. "until=<timestamp>")', kind="filter", parse=parse_filter),
        boolean("force", "f", "Do not prompt for confirmation"),
    ],
    examples="minidock network prune -f",
)
def prune(filter: list[tuple[str, str]], force: bool) -> None:
    filters = until_moment(group_filters(filter, dict.fromkeys(("label", "label!", "until"))))
    if not force and not context.confirm(
        "WARNING! This will remove all custom networks not used by at least one container."
    ):
        return
    removed = context.engine().prune_networks(filters=filters)
    if removed:
        print("Deleted Networks:")
        print("\n".join(removed) + "\n")


@verb(
    "connect",
    "Connect a container to a network",
    "[OPTIONS] NETWORK CONTAINER",
    flags=[
        many("alias", "", "Add network-scoped alias for the container", kind="strings"),
        many("driver-opt", "", "driver options for the network", kind="strings"),
        number(
            "gw-priority", "", "Highest gw-priority provides the default gateway. Accepts positive and negative values"
        ),
        text("ip", "", 'IPv4 address (e.g., "172.30.100.104")'),
        text("ip6", "", 'IPv6 address (e.g., "2001:db8::33")'),
        many("link", "", "Add link to another container", parse=parse_link),
        many("link-local-ip", "", "Add a link-local address for the container", kind="strings"),
    ],
    least=2,
    examples="""
        minidock network connect shop web
        minidock network connect --alias db --ip 10.5.0.9 shop postgres
    """,
)
def connect(
    arguments: list[str],
    alias: list[str],
    driver_opt: list[str],
    gw_priority: int,
    ip: str,
    ip6: str,
    link: list[str],
    link_local_ip: list[str],
) -> None:
    if any("=" not in word for word in driver_opt):
        raise Complaint("invalid key/value pair format in driver options", 1)
    ipam = {key: value for key, value in (("IPv4Address", ip), ("IPv6Address", ip6)) if value}
    asked = EndpointSettings(
        ipam_config=ipam | ({"LinkLocalIPs": words_of(link_local_ip)} if link_local_ip else {}),
        links=link or None,
        aliases=words_of(alias) or None,
        driver_opts=key_values(driver_opt),
        gw_priority=gw_priority,
    )
    context.engine().connect_network(arguments[0], arguments[1], asked)


@verb(
    "disconnect",
    "Disconnect a container from a network",
    "[OPTIONS] NETWORK CONTAINER",
    flags=[boolean("force", "f", "Force the container to disconnect from a network")],
    least=2,
    examples="minidock network disconnect shop web",
)
def disconnect(arguments: list[str], force: bool) -> None:
    context.engine().disconnect_network(arguments[0], arguments[1], force=force)
