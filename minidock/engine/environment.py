"""Environment variables as Docker has them: lines of NAME=value."""

from __future__ import annotations


def merge_env(base: list[str], over: list[str]) -> list[str]:
    """`over` replaces variables of the same name where they stand, and adds the others; a name alone removes it."""
    rows = {line.partition("=")[0]: line for line in base}
    for line in over:
        name, equals, _ = line.partition("=")
        if equals:
            rows[name] = line
        else:
            rows.pop(name, None)
    return list(rows.values())
