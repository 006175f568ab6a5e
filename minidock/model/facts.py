"""What the kernel says of a container, and what that means."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

import msgspec


class KernelFact(msgspec.Struct, frozen=True, rename="pascal"):
    """Something that the kernel says of a container, and the command that one would type to see it."""

    name: str
    value: str
    command: str


class KernelSection(msgspec.Struct, frozen=True, rename="pascal"):
    """The facts of one kernel idea; `source` is the file of ours that reads them."""

    title: str
    man: str
    source: str
    facts: list[KernelFact]


class Diagnosis(msgspec.Struct, frozen=True, rename="pascal"):
    """Why something failed: the facts that say so, each with its command, what else to look at, and what to do."""

    title: str
    meaning: str
    man: str
    facts: list[KernelFact]
    look: list[str]
    remedy: str
