"""Volumes."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

from minidock.model.base import Api


class Volume(Api, frozen=True):
    """API `Volume`; what it has no labels or options of is null, as with Docker."""

    name: str
    mountpoint: str
    driver: str = "local"
    created_at: str = ""
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None
    scope: str = "local"
