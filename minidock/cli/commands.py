"""The two shapes of the command line: a verb (`run`) and a noun that holds verbs (`container`).

A verb is a function with a table of flags. A noun knows its verbs by name, module and one line of help, and imports a
verb's module when it is used: `minidock ps` never reads the code of `run`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple

import click

from ..errors import CommandNotExecutable, CommandNotFound, MinidockError, UsageError, of_the_system
from .flags import Flag, parse

UNLIMITED = 1 << 30


class Complaint(click.ClickException):
    """What is printed on stderr as it is, and the exit code: the command line can't be right, or `run` failed."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.code = exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, err=True)


class Verb(click.Command):
    """One command. Flags and argument counts are checked here, with Docker's texts and exit codes."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str,
        brief: str,
        usage: str,
        flags: Sequence[Flag],
        least: int,
        most: int,
        aliases: Sequence[str],
        examples: str,
        interspersed: bool,
        runs: bool,
        hidden: bool,
    ) -> None:
        super().__init__(name, callback=function, help=brief, hidden=hidden, add_help_option=False)
        self.brief = brief
        self.usage = usage
        self.flags = list(flags)
        self.least, self.most = least, most
        self.aliases = list(aliases)
        self.examples = examples
        self.interspersed = interspersed
        self.runs = runs

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            values, positional = parse(self.flags, args, interspersed=self.interspersed)
        except UsageError as error:
            raise Complaint(f"{error.message}\n\n{self._how(ctx, 'Run')}", 125) from None
        if values.pop("help"):
            click.echo(self.get_help(ctx))
            ctx.exit(0)
        self._check_count(ctx, len(positional))
        ctx.params = values | ({"arguments": positional} if self.most else {})
        return []

    def _check_count(self, ctx: click.Context, count: int) -> None:
        if self.least <= count <= self.most:
            return
        see = "Run"
        if self.most == 0:
            wants = "accepts no arguments"
        elif self.least == self.most:
            wants = f"requires {_arguments(self.least)}"
        elif self.least > 0 and self.most < UNLIMITED:
            wants = f"requires at least {self.least} and at most {_arguments(self.most)}"
        elif count < self.least:
            wants, see = f"requires at least {_arguments(self.least)}", "See"
        else:
            wants = f"requires at most {_arguments(self.most)}"
        raise Complaint(f"minidock: '{ctx.command_path}' {wants}\n\n{self._how(ctx, see)}", 1)

    def _how(self, ctx: click.Context, see: str) -> str:
        return f"Usage:  {self.usage_line(ctx)}\n\n{see} '{ctx.command_path} --help' for more information"

    def usage_line(self, ctx: click.Context) -> str:
        return f"{ctx.command_path} {self.usage}".rstrip()

    def invoke(self, ctx: click.Context) -> object:
        """Call the function. What `run` can't do is told in Docker's form: one line, and where help is."""
        try:
            return super().invoke(ctx)
        except MinidockError as error:
            if isinstance(error.__cause__, BrokenPipeError):
                raise error.__cause__ from error  # nobody reads our output any more: that is told to nobody
            if not self.runs:
                raise
            raise complaint(error) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            if not (self.runs and error.strerror):
                raise
            raise complaint(from_system(error)) from error

    def get_help(self, ctx: click.Context) -> str:
        from .help import verb_help

        return verb_help(self, ctx)


def _arguments(count: int) -> str:
    return f"{count} argument" if count == 1 else f"{count} arguments"


def told(error: MinidockError) -> str:
    """`Error: …`, or `Error response from daemon: …`: an error as a line of its own."""
    line = f"{error.lead}{error.message}"
    return f"{line} ({error.hint})" if error.hint else line


def one_line(error: MinidockError) -> str:
    """The same behind somebody's name, `minidock: …`: only another's error says whose it is."""
    return told(error).removeprefix(MinidockError.lead)


def from_system(error: OSError) -> MinidockError:
    """The system's own error as one of ours, with what to do about it."""
    message, hint = of_the_system(error)
    if isinstance(error, PermissionError) and os.geteuid():
        hint = "minidock needs root: try it with sudo"
    return MinidockError(message, hint=hint)


def complaint(error: MinidockError) -> Complaint:
    """An error of `run`, and of the flags of `create`: the message, and where help is. 125, or 126 and 127."""
    code = error.exit_code if isinstance(error, CommandNotExecutable | CommandNotFound) else 125
    path = click.get_current_context().command_path
    return Complaint(f"minidock: {one_line(error)}\n\nRun '{path} --help' for more information", code)


def verb(
    name: str,
    brief: str,
    usage: str = "",
    *,
    flags: Sequence[Flag] = (),
    least: int = 0,
    most: int | None = None,
    aliases: Sequence[str] = (),
    examples: str = "",
    interspersed: bool = True,
    runs: bool = False,
    hidden: bool = False,
) -> Callable[[Callable[..., Any]], Verb]:
    """Make a function a command. It is called with the flags' values by key, and `arguments` when it takes any.

    `least` and `most` count the arguments; `most` is `least` when not given. `aliases` are the full names of the same
    command, for its help. `runs` marks `run`, whose failures exit with 125.
    """

    def decorate(function: Callable[..., Any]) -> Verb:
        return Verb(
            function,
            name=name,
            brief=brief,
            usage=usage,
            flags=flags,
            least=least,
            most=least if most is None else most,
            aliases=aliases,
            examples=examples,
            interspersed=interspersed,
            runs=runs,
            hidden=hidden,
        )

    return decorate


class Entry(NamedTuple):
    """Where a verb is (`module:name` below minidock.cli) and its one line of help, so that help imports nothing."""

    where: str
    brief: str
    section: str = "Commands"


class Noun(click.Group):
    """A group whose verbs are imported when they are used. `also` maps other names of verbs to those in the table."""

    def __init__(
        self,
        name: str,
        brief: str,
        table: Mapping[str, Entry],
        *,
        also: Mapping[str, str] | None = None,
        usage: str = "",
    ) -> None:
        super().__init__(name, help=brief, add_help_option=False)
        self.brief = brief
        self.table = table
        self.also = dict(also or {})
        self.usage = usage
        """What follows the name where an unknown verb is told: Docker's nouns differ there."""
        self.flags: Sequence[Flag] = ()

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, entry in self.table.items() if entry.section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.table.get(self.also.get(cmd_name, cmd_name))
        if entry is None:
            return None
        from importlib import import_module

        module, _, attribute = entry.where.partition(":")
        command = getattr(import_module(f"minidock.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            values, rest = parse(self.flags, args, interspersed=False)
        except UsageError as error:
            usage = f"Usage:  {ctx.command_path} {'[OPTIONS] ' if self.flags else ''}COMMAND"
            how = f"Run '{ctx.command_path} --help' for more information"
            raise Complaint(f"{error.message}\n\n{usage}\n\n{how}", 125) from None
        if values.pop("help") or not self.wants_more(values, rest):
            click.echo(self.get_help(ctx))
            ctx.exit(0)
        ctx.params = {}
        self.settle(ctx, values)
        ctx.args = rest
        return rest

    def invoke(self, ctx: click.Context) -> object:
        name, command, rest = self.resolve_command(ctx, ctx.args)
        assert command is not None
        ctx.invoked_subcommand = name
        with ctx, command.make_context(name, rest, parent=ctx) as inner:
            return command.invoke(inner)

    def wants_more(self, values: Mapping[str, Any], rest: Sequence[str]) -> bool:
        """Whether there is more to do than to print the help."""
        return bool(rest)

    def settle(self, ctx: click.Context, values: Mapping[str, Any]) -> None:
        """Keep the values of the group's own flags."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        command = self.get_command(ctx, args[0])
        if command is not None:
            return args[0], command, args[1:]
        usage = f"Usage:  {ctx.command_path} {self.usage}".rstrip() + "\n\n" if ctx.parent else ""
        raise Complaint(
            f"minidock: unknown command: {ctx.command_path} {args[0]}\n\n{usage}"
            f"Run '{ctx.command_path} --help' for more information",
            1,
        )

    def get_help(self, ctx: click.Context) -> str:
        from .help import noun_help

        return noun_help(self, ctx)
