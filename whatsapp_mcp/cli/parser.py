"""The words of the command line: every command, its arguments and its one line of help."""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from whatsapp_mcp import __version__
from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.export.renderers import RENDERERS

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS: Final = ("private", "group")
JOBS: Final = ("recent", "maintenance", "full", "sweep", "media", "backup", "report")
SCHEDULERS: Final = ("cron", "systemd", "launchd", "windows")
ORDERS: Final = ("relevance", "newest", "oldest")

_DATES: Final = "2025-08, 2025-08-14, an RFC 3339 time, today, yesterday, 'last week', 'last 30 days'"
_CHAT: Final = "a chat's name, phone number or id"


class _Parser(argparse.ArgumentParser):
    """Raises `UsageError` with one line instead of printing the whole usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(_readable(message), advice=f"See `{self.prog} --help`.")


def _readable(message: str) -> str:
    """Name the nearest command where argparse lists all of them."""
    start, _, rest = message.partition("invalid choice: ")
    if not rest or "choose from" not in rest:
        return f"{message[:1].upper()}{message[1:]}."
    word, _, choices = rest.partition(" (choose from ")
    known = [choice.strip("' ") for choice in choices.rstrip(")").split(",")]
    near = get_close_matches(word.strip("'"), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it can be {', '.join(known)}."
    what = "command" if "command" in start.casefold() else start.removeprefix("argument ").rstrip(": ")
    return f"{word} is no {what}; {hint}"


def build_parser() -> argparse.ArgumentParser:
    """The parser; its result names the function that does the work as ``handler``: ``module.function`` in this package."""
    everywhere = _everywhere()
    parser = _Parser(
        prog="whatsapp-mcp",
        description="Your whole WhatsApp, kept on your own disk, answerable by any assistant. Read-only towards WhatsApp.",
        parents=[everywhere],
    )
    parser.add_argument("--version", action="version", version=f"whatsapp-mcp {__version__}")
    commands = _Commands(parser, everywhere)
    _add_serving(commands)
    _add_sync(commands)
    _add_overviews(commands)
    _add_messages(commands)
    _add_trust(commands)
    _add_unattended(commands)
    return parser


def _everywhere() -> argparse.ArgumentParser:
    """Options that may stand before or after the command; no defaults, so that neither place wipes out the other."""
    options = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    options.add_argument("--home", type=Path, metavar="DIR", help="the folder of the archive")
    options.add_argument("--json", action="store_true", help="answer as JSON")
    options.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return options


class _Commands:
    """Adds commands that share the options allowed everywhere."""

    def __init__(self, parser: argparse.ArgumentParser, everywhere: argparse.ArgumentParser) -> None:
        self._everywhere = everywhere
        self._parsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)

    def add(self, name: str, handler: str, help_text: str) -> argparse.ArgumentParser:
        parser = self._parsers.add_parser(
            name, help=help_text, description=help_text, parents=[self._everywhere], allow_abbrev=False
        )
        parser.set_defaults(handler=handler)
        return parser

    def below(self, name: str, help_text: str) -> _Commands:
        parser = self._parsers.add_parser(name, help=help_text, description=help_text, parents=[self._everywhere])
        return _Commands(parser, self._everywhere)


def _add_serving(commands: _Commands) -> None:
    commands.add("serve", "serving.serve", "answer an assistant over MCP on standard input and output")
    commands.add("demo", "serving.demo", "show everything on an invented account; needs no account and no network")
    doctor = commands.add("doctor", "serving.doctor", "check settings, instance, disk, database and what runs by itself")
    doctor.add_argument("--fix", action="store_true", help="first put right what is safe: rights, folders, a stale lock")


def _add_sync(commands: _Commands) -> None:
    sync = commands.below("sync", "fetch messages from Green API")
    full = sync.add("full", "writing.sync_full", "fetch the whole history; goes on with an unfinished run")
    start = full.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="go on with an unfinished run (this happens anyway)")
    start.add_argument("--restart", action="store_true", help="forget the progress, never the messages, and begin again")
    sync.add("recent", "writing.sync_recent", "fetch what is new since the last sync")
    sync.add("sweep", "writing.sync_sweep", "compare the histories of the chats that are due, and store what was missed")
    chat = sync.add("chat", "writing.sync_chat", "fetch one chat's history")
    chat.add_argument("chat", metavar="CHAT", help=_CHAT)
    chat.add_argument("--depth", type=_positive, metavar="N", help="fetch the newest N messages only")
    _add_listening(commands)


def _add_listening(commands: _Commands) -> None:
    listen = commands.add("listen", "listening.listen", "store what happens as it happens, until it is stopped")
    how = listen.add_mutually_exclusive_group()
    how.add_argument("--drain", action="store_true", help="store what waits in the queue, then end")
    how.add_argument("--webhook", action="store_true", help="let Green API post the notifications to this computer")
    listen.add_argument(
        "--catch-up", type=_count, metavar="MINUTES", help="ask the journals as well, so often (default: 60; 0 is never)"
    )


def _add_overviews(commands: _Commands) -> None:
    status = commands.add("status", "reading.status", "counts, freshness, completeness, the last runs and the size")
    status.add_argument("--history", action="store_true", help="the last 30 runs, Green API's answers, the size over time")
    chats = commands.add("chats", "reading.chats", "list the chats, the most recent first")
    chats.add_argument("query", nargs="?", metavar="QUERY", help="a part of the name, the number or the id")
    chats.add_argument("--kind", choices=KINDS, help="only private chats, or only groups")
    _page(chats)
    analyze = commands.add("analyze", "reading.analyze", "count messages by person, chat, day, month and type")
    _dates(analyze)
    analyze.add_argument("--chat", metavar="CHAT", help=_CHAT)
    analyze.add_argument("--contact", metavar="CONTACT", help="a person's name, number or id")
    analyze.add_argument("--breakdown", action="append", metavar="BY", help="contact, chat, day, month, type; may be repeated")


def _add_messages(commands: _Commands) -> None:
    read = commands.add("read", "reading.read", "read a chat")
    read.add_argument("chat", metavar="CHAT", help=_CHAT)
    read.add_argument("--around", metavar="PLACE", help="the messages around a message, e.g. m1234, or a date")
    _dates(read)
    _page(read)
    search = commands.add("search", "reading.search", "search all messages")
    search.add_argument(
        "query", metavar="QUERY", help='words; "…" a phrase; OR; -word; word*; from:, in:, has:, is:, after:, before:'
    )
    search.add_argument("--chat", metavar="CHAT", help=_CHAT)
    search.add_argument("--sender", metavar="SENDER", help="a person's name, number or id, or me")
    search.add_argument("--kind", action="append", metavar="TYPE", default=[], help="image, voice, …; may be repeated")
    search.add_argument("--state", action="append", metavar="STATE", default=[], help="edited, deleted, …; may be repeated")
    search.add_argument("--order", choices=ORDERS, default="relevance", help="(default: relevance)")
    search.add_argument("--context", type=_count, default=0, metavar="N", help="show N messages before and after each hit")
    _dates(search)
    _page(search)
    catch_up = commands.add("catch-up", "recalling.catch_up", "what happened since a time, the most important chats first")
    catch_up.add_argument("since", metavar="SINCE", help="yesterday, last week, 2025-08-14, …")
    catch_up.add_argument("--chat", metavar="CHAT", help=_CHAT)
    catch_up.add_argument("--token-budget", type=_count, metavar="N", help="how much to tell, in tokens (default: 8000)")
    quote = commands.add("verify-quote", "recalling.verify_quote", "check whether a message really says a sentence")
    quote.add_argument("message", metavar="MESSAGE", help="its handle, e.g. m1234")
    quote.add_argument("quote", metavar="QUOTE", help="the sentence, as it is to be cited")
    export = commands.add("export", "reading.export", "write a chat to a file in the archive's exports folder")
    export.add_argument("chat", metavar="CHAT", help=_CHAT)
    export.add_argument("--format", choices=tuple(RENDERERS), default="txt", help="(default: txt)")
    export.add_argument("--include-media", action="store_true", help="pack the stored files with it into a zip")
    _dates(export)


def _add_trust(commands: _Commands) -> None:
    importing = commands.add("import", "importing.import_path", "read a chat that a phone exported (.txt or .zip)")
    importing.add_argument("path", type=Path, metavar="PATH", help="the exported file, or a folder of them")
    importing.add_argument("--chat", metavar="NAME", help="the chat's name, where the file's name does not say it")
    importing.add_argument("--me", metavar="NAME", help="the name under which you write in that export")
    importing.add_argument(
        "--order", metavar="ORDER", help="how dates are written there: dmy, mdy, ymd or ydm (default: found out)"
    )
    verify = commands.add("verify", "writing.verify", "check that what is stored fits together; changes nothing")
    verify.add_argument("--thorough", action="store_true", help="also replay every stored payload and compare each message")
    verify.add_argument("path", nargs="?", type=Path, metavar="PATH", help="a backup's folder, to be checked instead")
    _add_media(commands)
    commands.add("rebuild", "writing.rebuild", "make messages and index anew from the stored payloads")
    commands.add("index", "indexing.index", "read what messages mean, where searches find by meaning too")
    _add_keeping(commands)


def _add_keeping(commands: _Commands) -> None:
    backup = commands.add("backup", "keeping.backup", "copy the archive as it is now, also while a sync is running")
    backup.add_argument("path", nargs="?", type=Path, metavar="PATH", help="the folder of the backups (default: BACKUP_PATH)")
    backup.add_argument("--verify", action="store_true", help="restore the copy into a temporary folder and compare")
    restore = commands.add("restore", "keeping.restore", "put a backup in the archive's place; what was there is kept")
    restore.add_argument("path", type=Path, metavar="PATH", help="the folder of one backup: the one that holds manifest.json")
    restore.add_argument("--force", action="store_true", help="also over an archive that is newer than the backup")
    tidy = commands.add("maintenance", "keeping.maintenance", "check everything, then tidy index, log and free space")
    tidy.add_argument("--thorough", action="store_true", help="replay every stored payload, not only this week's share")


def _add_unattended(commands: _Commands) -> None:
    schedule = commands.below("schedule", "let this computer start the regular jobs by itself")
    for name, said in (
        ("show", "print what would be installed; changes nothing"),
        ("install", "install the regular jobs, or bring them up to date"),
        ("remove", "remove the regular jobs, and nothing else"),
    ):
        parser = schedule.add(name, f"scheduling.{name}", said)
        parser.add_argument("--kind", choices=SCHEDULERS, help="what starts the jobs (default: what this computer has)")
    commands.add("send-test-report", "reporting.send_test_report", "send a report by e-mail now, to try the settings")


def build_scheduler_parser() -> argparse.ArgumentParser:
    """The parser of ``whatsapp-mcp-scheduler``."""
    parser = _Parser(
        prog="whatsapp-mcp-scheduler",
        description="Runs every regular job of the archive at its time, until it is stopped.",
        parents=[_everywhere()],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"whatsapp-mcp {__version__}")
    parser.add_argument("--once", choices=JOBS, metavar="JOB", help=f"run one job now, then end: {', '.join(JOBS)}")
    parser.set_defaults(handler="unattended.work")
    return parser


def _add_media(commands: _Commands) -> None:
    media = commands.below("media", "the photos, voice notes and other files of messages")
    download = media.add("download", "media.download", "fetch the files that are due, those that may vanish first")
    download.add_argument("--limit", type=_positive, metavar="N", help="at most N files")
    download.add_argument("--again", action="store_true", help="try once more what was given up, or is lost with its folder")
    media.add("status", "media.status", "what is stored, what is to be fetched and what is lost, by kind")
    text = media.add("text", "texts.text", "read the texts of documents and, with a model, of voice notes, for the search")
    text.add_argument("--limit", type=_positive, metavar="N", help="at most N files")
    text.add_argument("--again", action="store_true", help="read anew what was read before, with another model say")
    clean = media.add("clean", "media.clean", "show temporary and orphaned files and, after a yes, remove them")
    clean.add_argument("--yes", action="store_true", help="remove them without asking")


def _dates(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--after", metavar="DATE", help=f"from then on: {_DATES}")
    parser.add_argument("--before", metavar="DATE", help="until then; a named day or month is included whole")


def _page(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=_positive, default=50, metavar="N", help="at most N rows (default: 50)")
    parser.add_argument("--cursor", metavar="CURSOR", help="go on where an earlier answer ended")


def _positive(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text[:9]) > 0:
        return int(text[:9])
    raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")


def _count(text: str) -> int:
    return 0 if text == "0" else _positive(text)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the words after the program's name; raises `UsageError`, and `SystemExit` for ``--help`` and ``--version``."""
    return _with_defaults(build_parser().parse_args(argv))


def parse_scheduler(argv: Sequence[str]) -> argparse.Namespace:
    """As `parse`, for ``whatsapp-mcp-scheduler``."""
    return _with_defaults(build_scheduler_parser().parse_args(argv))


def _with_defaults(args: argparse.Namespace) -> argparse.Namespace:
    for name, default in (("home", None), ("json", False), ("debug", False)):
        if not hasattr(args, name):
            setattr(args, name, default)
    return args
