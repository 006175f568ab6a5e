"""resolv.conf and hosts, by Docker's rules."""

from pathlib import Path

import pytest

from minidock.errors import UsageError
from minidock.model.host import HostConfig
from minidock.network.resolv import host_resolver_config, hosts_text, moved_hosts, relinked_hosts, resolver_config

HOST = "# by hand\nsearch example.org corp\nnameserver 10.0.0.53\nnameserver 10.0.0.54\noptions ndots:2\n"


def test_the_hosts_text_is_kept_as_it_is() -> None:
    assert resolver_config(HOST, HostConfig(), "default") == HOST


def test_servers_on_loopback_and_ipv6_ones_are_left_out() -> None:
    text = "nameserver 127.0.0.1\nnameserver 10.0.0.53\nnameserver ::1\nnameserver fe80::1%eth0\nsearch a\n"
    assert resolver_config(text, HostConfig(), "bridge") == "nameserver 10.0.0.53\nsearch a\n"


def test_public_servers_stand_in_when_none_is_left() -> None:
    assert resolver_config("nameserver 127.0.0.1", HostConfig(), "bridge") == (
        "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
    )
    assert resolver_config("", HostConfig(), "none") == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"


def test_the_hosts_network_has_the_hosts_loopback_servers_too() -> None:
    assert resolver_config("nameserver 127.0.0.1\n", HostConfig(), "host") == "nameserver 127.0.0.1\n"


def test_flags_replace_the_lines_of_their_kind_only() -> None:
    assert resolver_config(HOST, HostConfig(dns=["1.1.1.1"]), "bridge") == (
        "search example.org corp\nnameserver 1.1.1.1\noptions ndots:2\n"
    )
    assert resolver_config(HOST, HostConfig(dns_search=["x.test"], dns_options=["rotate"]), "bridge") == (
        "search x.test\nnameserver 10.0.0.53\nnameserver 10.0.0.54\noptions rotate\n"
    )


def test_a_dot_means_no_search_at_all() -> None:
    assert "search" not in resolver_config(HOST, HostConfig(dns_search=["."]), "bridge")


def test_behind_the_stub_of_systemd_resolved_stand_the_real_servers(tmp_path: Path) -> None:
    etc, systemd = tmp_path / "etc", tmp_path / "systemd"
    etc.write_text("nameserver 127.0.0.53\noptions edns0\n")
    assert host_resolver_config(etc, systemd) == "nameserver 127.0.0.53\noptions edns0\n"
    systemd.write_text("nameserver 10.0.0.53\n")
    assert host_resolver_config(etc, systemd) == "nameserver 10.0.0.53\n"
    etc.write_text("nameserver 127.0.0.53\nnameserver 10.9.9.9\n")
    assert "10.9.9.9" in host_resolver_config(etc, systemd)
    assert host_resolver_config(tmp_path / "absent", systemd) == ""


def test_hosts_names_the_container_last() -> None:
    text = hosts_text("web", "", ["172.18.0.2"], ["db:10.0.0.9", "gate:host-gateway"], gateway="172.18.0.1")
    assert text.startswith("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n")
    assert text.endswith("ff02::2\tip6-allrouters\n10.0.0.9\tdb\n172.18.0.1\tgate\n172.18.0.2\tweb\n")


def test_hosts_has_the_full_name_before_the_short_one() -> None:
    assert hosts_text("web", "example.org", ["172.18.0.2"], []).endswith("172.18.0.2\tweb.example.org web\n")
    assert hosts_text("web.example.org", "", ["172.18.0.2"], []).endswith("172.18.0.2\tweb.example.org web\n")


def test_extra_hosts_may_be_ipv6() -> None:
    assert "::1\tme\n" in hosts_text("web", "", [], ["me:[::1]"])
    assert "fd00::1\tv6\n" in hosts_text("web", "", [], ["v6=fd00::1"])


@pytest.mark.parametrize("entry", ["nothing", ":10.0.0.1", "name:"])
def test_a_bad_extra_host_is_refused(entry: str) -> None:
    with pytest.raises(UsageError, match="bad format for add-host"):
        hosts_text("web", "", [], [entry])


def test_host_gateway_needs_a_gateway() -> None:
    with pytest.raises(UsageError, match="host-gateway"):
        hosts_text("web", "", [], ["gate:host-gateway"])


def test_lines_that_somebody_wrote_into_hosts_stay_when_addresses_change() -> None:
    before = hosts_text("web", "", ["172.18.0.2"], []) + "172.18.0.2 other\n1.2.3.4 web\n"
    after = moved_hosts(before, "web", "", gone=["172.18.0.2"], come=["10.1.0.2"])
    assert "172.18.0.2\tweb" not in after
    assert after.endswith("172.18.0.2 other\n1.2.3.4 web\n10.1.0.2\tweb\n")


def test_a_link_follows_and_nothing_else() -> None:
    text = "172.18.0.2\tdb 0123456789ab data\n172.18.0.2 mine\n"
    names = {"db", "0123456789ab"}
    assert relinked_hosts(text, names, "172.18.0.9") == "172.18.0.9\tdb 0123456789ab data\n172.18.0.2 mine\n"
    assert relinked_hosts(text, names, "") == "172.18.0.2 mine\n"
