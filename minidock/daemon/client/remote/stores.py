"""Volumes and networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidock.daemon.client.remote.base import Remote, silent
from minidock.engine.verbs.base import Filters
from minidock.steps import SILENT, Narrator

if TYPE_CHECKING:
    from minidock.model.network import EndpointSettings, NetworkRequest
    from minidock.model.volume import Volume


class RemoteStores(Remote):
    def create_volume(self, name: str, *, driver: str, options: dict[str, str], labels: dict[str, str]) -> Volume:
        from minidock.daemon.client import volumes

        return volumes.create(self.api, name, driver, options, labels)

    def volumes(self, *, filters: Filters | None = None) -> list[Volume]:
        from minidock.daemon.client import volumes

        return volumes.listed(self.api, filters or {})

    def inspect_volume(self, name: str) -> Volume:
        from minidock.daemon.client import volumes

        return volumes.inspect(self.api, name)

    def remove_volume(self, name: str, *, force: bool = False) -> None:
        from minidock.daemon.client import volumes

        volumes.remove(self.api, name, force=force)

    def prune_volumes(self, *, filters: Filters | None = None) -> tuple[list[str], int]:
        from minidock.daemon.client import volumes

        return volumes.prune(self.api, filters or {})

    # networks

    def create_network(self, asked: NetworkRequest, *, narrator: Narrator = SILENT) -> str:
        from minidock.daemon.client import networks

        silent(narrator, "network create")
        return networks.create(self.api, asked)

    def networks(self, *, filters: Filters | None = None) -> list[dict[str, Any]]:
        from minidock.daemon.client import networks

        return networks.listed(self.api, filters or {})

    def inspect_network(self, ref: str) -> dict[str, Any]:
        from minidock.daemon.client import networks

        return networks.inspect(self.api, ref)

    def remove_network(self, ref: str, *, force: bool = False) -> None:
        from minidock.daemon.client import networks

        networks.remove(self.api, ref)

    def prune_networks(self, *, filters: Filters | None = None) -> list[str]:
        from minidock.daemon.client import networks

        return networks.prune(self.api, filters or {})

    def connect_network(self, network: str, ref: str, asked: EndpointSettings) -> None:
        from minidock.daemon.client import networks

        networks.connect(self.api, network, ref, asked)

    def disconnect_network(self, network: str, ref: str, *, force: bool = False) -> None:
        from minidock.daemon.client import networks

        networks.disconnect(self.api, network, ref, force=force)
