"""Volumes, networks and devices: what containers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.engine.verbs.base import Verbs
from minidock.steps import SILENT, Narrator

if TYPE_CHECKING:
    from typing import Any

    from minidock.engine.verbs.base import Filters
    from minidock.model.cdi import CdiListing
    from minidock.model.network import EndpointSettings, NetworkRequest
    from minidock.model.overlay import Arrangement
    from minidock.model.volume import Volume


class StoreVerbs(Verbs):
    """Each method names the module that does it."""

    # volumes

    def create_volume(self, name: str, *, driver: str, options: dict[str, str], labels: dict[str, str]) -> Volume:
        """An empty name is drawn by lot; one that is there stays as it is."""
        from minidock.engine import volume_store

        return volume_store.create(self.layout, name, driver, options, labels)

    def volumes(self, *, filters: Filters | None = None) -> list[Volume]:
        """By name."""
        from minidock.engine import volume_store

        return volume_store.ls(self.layout, filters or {})

    def inspect_volume(self, name: str) -> Volume:
        """API `Volume`. Raises NotFound."""
        from minidock.engine import volume_store

        return volume_store.inspect(self.layout, name)

    def remove_volume(self, name: str, *, force: bool = False) -> None:
        """Raises Conflict while a container has it."""
        from minidock.engine import volume_store

        volume_store.remove(self.layout, name, force=force)

    def prune_volumes(self, *, filters: Filters | None = None) -> tuple[list[str], int]:
        """Names and bytes of anonymous volumes that no container has; with the filter all=1 of others too."""
        from minidock.engine import volume_store

        return volume_store.prune(self.layout, filters or {})

    # networks

    def create_network(self, asked: NetworkRequest, *, narrator: Narrator = SILENT) -> str:
        """The new network's id; its bridge is up by then."""
        from minidock.engine import networks

        return networks.create(self.layout, asked, narrator=narrator)

    def networks(self, *, filters: Filters | None = None) -> list[dict[str, Any]]:
        """API `Network`s, by name."""
        from minidock.engine import networks

        return networks.ls(self.layout, filters or {})

    def inspect_network(self, ref: str) -> dict[str, Any]:
        """API `Network`, with the containers on it. Raises NetworkNotFound."""
        from minidock.engine import networks

        return networks.inspect(self.layout, ref)

    def remove_network(self, ref: str, *, force: bool = False) -> None:
        """Raises Conflict while a container runs on it."""
        from minidock.engine import networks

        networks.remove(self.layout, ref, force=force)

    def prune_networks(self, *, filters: Filters | None = None) -> list[str]:
        """Names of those that no container is to be on; with nothing running the default bridge goes too."""
        from minidock.engine import networks

        return networks.prune(self.layout, filters or {})

    def connect_network(self, network: str, ref: str, asked: EndpointSettings) -> None:
        """One more network for a container, running or not."""
        from minidock.engine import connect

        connect.connect(self.layout, network, ref, asked)

    def disconnect_network(self, network: str, ref: str, *, force: bool = False) -> None:
        from minidock.engine import connect

        connect.disconnect(self.layout, network, ref, force=force)

    def arrange_network(self, ref: str, given: Arrangement) -> None:
        """What the managers of a swarm say of its network. Raises NetworkNotFound."""
        from minidock.engine import overlays

        overlays.arrange(self.layout, ref, given)

    def examine_network(self) -> list[dict[str, str]]:
        """What on this host is in the way of packets; each with level, about, text and advice."""
        import msgspec

        from minidock.network import doctor

        return [msgspec.to_builtins(finding) for finding in doctor.examine(self.layout)]

    # devices

    def cdi_devices(self, directories: list[str] | None = None) -> CdiListing:
        """What the CDI files of these directories offer, or of the instance's own, and what is wrong with them."""
        from minidock.engine import device_requests

        return device_requests.listing(self.layout, directories)

    def examine_gpus(self, directories: list[str] | None = None) -> list[dict[str, str]]:
        """What is between a container and a GPU of this host; each with level, about, text and advice."""
        import msgspec

        from minidock.engine import device_requests, gpu_doctor

        found = gpu_doctor.examine(directories or device_requests.directories(self.layout))
        return [msgspec.to_builtins(finding) for finding in found]

    def generate_cdi(self, vendor: str = "", root: str = "/") -> bytes:
        """A CDI file for the GPUs below `root`, as JSON. Raises NotFound when no driver is there."""
        from minidock.engine import cdi_generate

        return cdi_generate.as_json(vendor, root)
