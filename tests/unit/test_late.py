"""Modules that are put off: not loaded by a start, and whole for whoever needs them, however he asks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from minidock.late import LATE

START = "import sys; from minidock import late; late.put_off(); import click, msgspec, pathlib, uuid\n"

ASKED = {
    "inspect": ("import inspect", "inspect.cleandoc('  x')", "'x'"),
    "textwrap": ("from textwrap import dedent", "dedent(' x')", "'x'"),
    "ntpath": ("import ntpath", "ntpath.join('a', 'b')", r"'a\\b'"),
    "urllib.parse": ("import urllib.parse", "urllib.parse.quote('a b')", "'a%20b'"),
    "gettext": ("from gettext import ngettext", "ngettext('one', 'many', 2)", "'many'"),
    "threading": ("import threading", "isinstance(threading.current_thread(), threading._MainThread)", "True"),
    "selectors": ("import selectors", "selectors.EVENT_READ", "1"),
    "platform": ("import platform", "platform.python_implementation()", "'CPython'"),
    "decimal": ("from decimal import Decimal", "Decimal('1.50') + 1", "Decimal('2.50')"),
    "uuid": ("import uuid", "(uuid.UUID(int=1).hex[-2:], isinstance(uuid.uuid4(), uuid.UUID))", "('01', True)"),
    "msgspec.inspect": ("import msgspec.inspect", "msgspec.inspect.type_info(int)", None),
    "msgspec._json_schema": ("import msgspec", "msgspec.json.schema(int)", "{'type': 'integer'}"),
    "typing_extensions": ("from typing_extensions import TypedDict", "TypedDict.__module__", "'typing_extensions'"),
}


def said(code: str) -> str:
    return subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:] = {sys.path}\n{code}"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip


def test_the_libraries_that_every_command_loads_leave_them_alone() -> None:
    assert said(START + "print([name for name in late.LATE if type(sys.modules[name]) is not late.Late])") == "[]"


def test_each_has_a_row_here() -> None:
    assert set(ASKED) == set(LATE)


@pytest.mark.parametrize("name", LATE)
def test_it_is_there_for_who_asks(name: str) -> None:
    how, what, answer = ASKED[name]
    said_so = said(f"{START}{how}\nprint(repr({what}))")
    assert said_so == answer if answer else said_so


def test_it_is_there_for_who_imported_it_before_it_was_loaded() -> None:
    assert (
        said(START + "import inspect as early; import inspect\ninspect.cleandoc('')\nprint(early.cleandoc('  x'))")
        == "x"
    )
    assert (
        said(START + "print(pathlib.Path('/a b').as_uri(), pathlib.PureWindowsPath('a', 'b'))") == r"file:///a%20b a\b"
    )
    assert said(START + "print(uuid.UUID(int=1).version, click.core.inspect.isfunction(print))") == "None False"


def test_what_it_does_not_have_is_an_attribute_error() -> None:
    assert said(START + "import inspect\nprint(hasattr(inspect, 'nonsense'))") == "False"


def test_datetime_is_the_one_in_c_and_lacks_nothing() -> None:
    """datetime.py takes everything from there, too, after it has defined it in Python."""
    assert said(
        START + "import datetime as d\nprint(d.__name__, d.datetime.strptime('2026', '%Y').replace(tzinfo=d.UTC))"
    ) == ("_datetime 2026-01-01 00:00:00+00:00")
    before = "import datetime; real = datetime.__all__; del sys.modules['datetime']\n"
    assert said(f"{before}{START}import datetime as d\nprint(set(real) - set(dir(d)))") == "set()"


def test_threads_work_that_are_started_late() -> None:
    code = "import threading\nt = threading.Thread(target=print, args=['ran'])\nt.start(); t.join()\n"
    assert said(START + code + "print(threading.main_thread() is threading.current_thread())") == "ran\nTrue"
