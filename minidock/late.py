"""Standard modules that the libraries we start with import at the top and use rarely: loaded when somebody does.

Every command pays for what it imports. click needs `inspect` for one kind of default value, and with it come ast, dis
and tokenize: 3.5 ms of 50. So before those libraries are loaded, `import inspect` is given an empty module here, which
becomes the real one at the first question about it. (importlib.util.LazyLoader does the same, but before Python 3.12 a
second `import inspect` already counts as a question.)
"""

from __future__ import annotations

import _datetime  # type: ignore[import-not-found]
import _thread
import os
import sys
import typing
from collections.abc import Callable
from importlib import import_module
from types import ModuleType


class Late(ModuleType):
    """A module that loads itself when it is asked for something that it doesn't have."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # the import system's own questions, not a user's
            raise AttributeError(name)
        return getattr(_load(self.__name__), name)


def _load(name: str) -> ModuleType:
    late = sys.modules.get(name)
    if not isinstance(late, Late):
        return import_module(name)
    del sys.modules[name]
    real = import_module(name)
    vars(late).update(vars(real))  # for those who have imported it already
    return real


def _late(module: str, name: str) -> Callable[..., object]:
    """A function of a module that is loaded by the first call, for those who ask by `from … import`."""
    return lambda *given, **named: getattr(_load(module), name)(*given, **named)


class LateClass(type):
    """A class that stands for one of a module that isn't loaded: for annotations, and for what is asked once only."""

    def __call__(cls, *given: object, **named: object) -> object:
        return getattr(_load(cls.__module__), cls.__name__)(*given, **named)

    def __instancecheck__(cls, thing: object) -> bool:
        return type(thing).__module__ == cls.__module__ and isinstance(
            thing, getattr(_load(cls.__module__), cls.__name__)
        )


def _late_class(module: str, name: str, **known: object) -> LateClass:
    return LateClass(name, (), {"__module__": module, **known})


LATE: dict[str, dict[str, object]] = {
    "inspect": {},  # click, typing_extensions
    "textwrap": {},  # msgspec
    "ntpath": {},  # pathlib
    "urllib.parse": {"quote_from_bytes": _late("urllib.parse", "quote_from_bytes")},  # pathlib, for Path.as_uri
    # click, for every text that somebody might translate
    "gettext": {name: _late("gettext", name) for name in ("gettext", "ngettext")},
    "threading": {"local": _thread._local},  # click
    "selectors": {},  # socket, to send files
    "platform": {"system": lambda: os.uname().sysname},  # uuid, which click and msgspec import
    # msgspec asks for these three, which Python has had itself since 3.11
    "typing_extensions": {name: getattr(typing, name) for name in ("get_type_hints", "NotRequired", "Required")},
    # msgspec would encode such numbers and ids, and asks for their classes at once. Nothing of ours has any.
    "decimal": {"Decimal": _late_class("decimal", "Decimal")},
    "uuid": {"UUID": _late_class("uuid", "UUID"), "SafeUUID": _late_class("uuid", "SafeUUID", unknown=None)},
    # msgspec's own, for schemas in JSON: 7 ms of processor time, with all that they import
    "msgspec.inspect": {},
    "msgspec._json_schema": {name: _late("msgspec._json_schema", name) for name in ("schema", "schema_components")},
}
"""Module: what of it is known already."""


def put_off() -> None:
    """Stand in for the modules that nobody has loaded so far."""
    # The whole of it is in C, and that is built in. Beside it, datetime.py has the same once more in Python.
    sys.modules.setdefault("datetime", _datetime)
    late = [name for name in LATE if name not in sys.modules]
    for name in late:
        module = sys.modules[name] = Late(name)
        vars(module).update(LATE[name])
    for name in late:  # a package is loaded once all stand in: it may import some of them
        package, _, leaf = name.rpartition(".")
        if package:
            setattr(import_module(package), leaf, sys.modules[name])
