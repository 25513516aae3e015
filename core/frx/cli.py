"""The command line. Each command is a module of `frx.commands`, imported when it is used."""

from __future__ import annotations

import importlib
import io
import os
import select
import signal
import sys
import traceback

import click

import frx
from frx.errors import FrxError, ResourceError
from frx.streams import say_no_more

# What `frx --help` says of each command; a test holds these against the commands' own texts.
COMMANDS = {
    "run": "Train, evaluate and report what a recipe describes.",
    "list": "List what is installed: models, losses, degradations, …",
    "show": "Show a component's options and documentation.",
    "check": "Find everything wrong with a recipe before training it.",
    "new": "Write a plugin package or a commented recipe to begin with.",
    "schema": "Write the JSON Schema by which editors check recipes.",
    "evaluate": "Score a finished run, on its own data or others.",
    "compare": "Compare runs over the same images, with significance.",
    "restore": "Restore photographs with a trained network.",
    "degrade": "Write the damaged pictures of a recipe to disk.",
    "prepare": "Split a folder into train, val and test, or sample it.",
    "align": "Cut out faces, upright and centred, as data sets have them.",
    "fetch": "Download known weights, verified, into the cache.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"frx.commands.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from frx.registry import nearest

        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.UsageError(f"no command {args[0]!r}; {nearest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with:  frx run recipes/inpaint_gan.toml --profile quick",
)
@click.version_option(frx.__version__, prog_name="frx")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--no-plugins", is_flag=True, help="Leave out the components of other packages.")
def cli(debug: bool, no_plugins: bool) -> None:
    """frx trains, measures and applies face-restoration networks.

    A recipe (TOML) names components; each component is a plugin.
    """
    if os.environ.get("NO_COLOR"):
        click.get_current_context().color = False
    if no_plugins:
        from frx.registry import DISABLE_VARIABLE

        os.environ[DISABLE_VARIABLE] = "1"  # also for the processes that it starts


def main() -> None:
    """Run the command line; errors become one sentence and an exit code."""
    debug = "--debug" in sys.argv
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # where it has no arrows, nor such names
    try:
        cli.main(standalone_mode=False, prog_name="frx")
        sys.stdout.flush()
    except FrxError as error:
        if debug:
            traceback.print_exc()
        _complain(str(error))
        _leave(error.exit_code)
    except click.exceptions.Exit as error:
        _leave(error.exit_code)
    except click.ClickException as error:
        error.show()
        _leave(2)
    except (KeyboardInterrupt, click.Abort):
        _leave(128 + signal.SIGINT)
    except (Exception, SystemExit) as error:
        # `frx list | head -1`, of which click makes an exit
        if isinstance(error, BrokenPipeError | SystemExit) and _only_output_is_closed():
            say_no_more(sys.stdout)
            _leave(0)
        from frx.memory import is_out_of_memory

        if is_out_of_memory(error):
            if debug:
                traceback.print_exc()
            _complain("out of memory; close other programs, or give it less to do at a time")
            _leave(ResourceError.exit_code)
        from frx.blame import culprit

        sentence = culprit(error)
        if sentence is None and isinstance(error, SystemExit):
            raise
        if debug or sentence is None:
            traceback.print_exc()
        if sentence is not None:
            _complain(sentence)
            _leave(2)
        _complain("this is a bug in frx; please report it with the lines above")
        _leave(1)


def _only_output_is_closed() -> bool:
    """Whether nobody reads what is printed any more, though errors are still read."""
    if not hasattr(select, "poll"):  # Windows
        return False
    poll = select.poll()
    for stream in (1, 2):
        poll.register(stream, 0)
    return {stream for stream, event in poll.poll(0) if event & select.POLLERR} == {1}


def _complain(text: str) -> None:
    try:
        print(f"frx: {text}" if "\n" not in text else text, file=sys.stderr, flush=True)
    except OSError:
        say_no_more(sys.stderr)


def _leave(code: int) -> None:
    sys.exit(code)
