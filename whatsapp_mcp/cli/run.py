"""One command from its words to its exit code: whatever goes wrong becomes one line that says what to do."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from whatsapp_mcp.app import Archive
from whatsapp_mcp.cli.parser import parse
from whatsapp_mcp.config import Settings
from whatsapp_mcp.logs import SERVER, SYNC, category_of, newest_log, redact, start_log, stop_log
from whatsapp_mcp.refusals import foreseen, hush

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

_log = logging.getLogger(__name__)

_SERVE = "serving.serve"


@dataclass(frozen=True, slots=True)
class Command:
    """What a command works with."""

    archive: Archive
    args: argparse.Namespace


def main(argv: Sequence[str] | None = None, parse: Callable[[Sequence[str]], argparse.Namespace] = parse) -> int:
    """Run the command that `parse` finds in the words and return its exit code; prints errors, raises none."""
    words = sys.argv[1:] if argv is None else argv
    _speak_utf8()
    secrets: tuple[str, ...] = ()
    handler: logging.Handler | None = None
    settings: Settings | None = None
    try:
        args = parse(words)
        settings = Settings.load(home=args.home)
        secrets = settings.secrets
        handler = start_log(settings, SERVER if args.handler == _SERVE else SYNC)
        return _run(args, settings)
    except SystemExit as leaving:  # --help and --version
        return leaving.code if isinstance(leaving.code, int) else 0
    except BrokenPipeError:
        return _reader_left()
    except KeyboardInterrupt:
        return _stopped(words)
    except Exception as error:  # noqa: BLE001 - the last place where an error can become a line for people
        return _complain(error, secrets=secrets, debug="--debug" in words, settings=settings)
    finally:
        stop_log(handler)


def _run(args: argparse.Namespace, settings: Settings) -> int:
    module, _, name = args.handler.partition(".")
    handler: Any = getattr(import_module(f"whatsapp_mcp.cli.{module}"), name)
    archive = Archive.open(settings)
    began = archive.clock.monotonic()
    _log.info("%s begins", args.handler)
    code: int = handler(Command(archive, args))
    sys.stdout.flush()
    _log.info("%s ends with %d", args.handler, code, extra={"seconds": archive.clock.monotonic() - began})
    return code


def _speak_utf8() -> None:
    """Names and messages are of every alphabet, whatever the terminal claims; half an emoji becomes a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def _reader_left() -> int:
    """``| head`` has seen enough; Python must not try to flush into the closed pipe at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _stopped(words: Sequence[str]) -> int:
    _log.info("stopped by the user")
    resume = "; run again with --resume" if "sync" in words and "full" in words else ""
    print(f"\nwhatsapp-mcp: stopped{resume}.", file=sys.stderr)
    return 1


def _complain(error: Exception, *, secrets: tuple[str, ...], debug: bool, settings: Settings | None) -> int:
    known = foreseen(error)
    hush(error)
    if debug:
        print(redact("".join(traceback.format_exception(error)), secrets), file=sys.stderr, end="")
    line = str(known) if known else _unforeseen(error, settings)
    print(redact(f"whatsapp-mcp: {' '.join(line.split())}", secrets), file=sys.stderr)
    if known:
        _log.error("stopped by %s", type(known).__name__, extra={"category": category_of(known)})
        return known.exit_code
    _log.error("stopped by %s", type(error).__name__, extra={"error": error})
    return 1


def _unforeseen(error: Exception, settings: Settings | None) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    path = newest_log(settings.home) if settings else None
    log = f"; the details are in {path}" if path else ""
    place = f"{type(error).__name__} in {os.path.basename(where.filename)}, line {where.lineno}"  # noqa: PTH119 - no path
    return f"this is a mistake in the program ({place}){log}. Run the command again with --debug and report what it shows."
