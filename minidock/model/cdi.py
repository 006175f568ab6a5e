"""What Container Device Interface files offer."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

from minidock.model.base import Api


class CdiOffer(Api, frozen=True):
    """One device that a CDI file offers, and how much it brings into a container."""

    name: str
    file: str
    device_nodes: int
    mounts: int
    hooks: int


class CdiListing(Api, frozen=True):
    """What directories of CDI files have; each problem with the file or device that has it."""

    directories: list[str]
    devices: list[CdiOffer]
    problems: dict[str, str]
