"""What all structs of the API have in common."""

import msgspec


class Api(msgspec.Struct, frozen=True, rename="pascal"):
    """Base: PascalCase on the wire, every member always present, as Docker sends them."""
