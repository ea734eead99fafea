"""The commands that only read: they ask the archive on this disk and never the network."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.cli import objects
from whatsapp_mcp.cli.progress import duration
from whatsapp_mcp.cli.terminal import many, moment, say, say_json, say_table, size
from whatsapp_mcp.server.answers import synced_until
from whatsapp_mcp.server.fencing import inline, literal
from whatsapp_mcp.server.gaps import COMMANDS, gaps_lines, queue_lines

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.cli.run import Command
    from whatsapp_mcp.views import Analysis, ChatView, Coverage, FileCounts, Page, RunView, Status

_LABELS: Final = ("Gaps", "Listening", "Suspicion")
_ERROR: Final = 1_000
"""Characters of a run's error: the gateway's words may be in it, and none of them begins a line of its own."""


def status(command: Command) -> int:
    """``status``: the state of the whole archive, or with ``--history`` what was measured."""
    if command.args.history:
        from whatsapp_mcp.cli.history import history

        return history(command)
    found, zone = command.archive.queries.status(), command.archive.settings.timezone
    if command.args.json:
        say_json(objects.status_object(found, zone))
        return 0
    for line in _status_lines(command, found, zone):
        say(line)
    return 0


def _status_lines(command: Command, found: Status, zone: ZoneInfo) -> Iterable[str]:
    covered = found.coverage
    yield f"Archive      {command.archive.home} ({size(found.database_bytes)})"
    if found.account:
        yield f"Account      {found.account}"
    yield f"Messages     {found.messages:,} ({found.media_messages:,} with media), {_span(covered, zone)}"
    yield f"Chats        {found.chats:,} ({found.private_chats:,} private, {found.groups:,} groups)"
    yield f"Contacts     {found.contacts:,}"
    if any((found.files.pending, found.files.stored, found.files.expired, found.files.failed, found.files.skipped)):
        yield f"Files        {files_line(found.files)}"
    yield f"Complete     {covered.complete:,} of {covered.chats:,} chats{_incomplete(covered)}"
    yield from _assistants_lines(command)
    yield f"Last synced  {moment(synced_until(covered), zone) or 'never'}"
    if found.unreadable:
        yield f"Unreadable   {found.unreadable:,} items of {found.payloads:,} payloads are kept, and not understood"
    for run in found.runs[:3]:
        yield f"Run {run.run_id:<8} {_run_line(run, zone)}"
        if run.last_error:
            yield f"             {inline(run.last_error, _ERROR)}"
    for failure in found.failures[:10]:
        told = f"{inline(failure.chat.name)}: {inline(failure.error, 200)}"
        yield f"Failed       {told} (sync chat {failure.chat.id} tries again)"
    if found.truncated:
        yield f"Cut off      {', '.join(inline(chat.name) for chat in found.truncated[:10])}"
    for line in (*gaps_lines(found, zone, COMMANDS), *queue_lines(found.queue, zone)):
        label, _, told = line.partition(": ")
        yield f"{label:<12} {told}" if label in _LABELS else f"{'':<13}{line}"
    if covered.note:
        yield covered.note


def _assistants_lines(command: Command) -> Iterable[str]:
    """What assistants do not see, and where it stands what they read: for the owner, who sees everything."""
    archive = command.archive.for_assistants()
    if archive.sight is not None:
        yield f"Hidden       {_hidden(archive)}"
    if archive.settings.access_log:
        yield f"Access log   {archive.home / 'logs' / 'access-<day>.log'} says what assistants read"


def _hidden(archive: Archive) -> str:
    hidden = archive.hidden()
    count, idle = len(hidden.chats), (*hidden.without_chat, *hidden.ambiguous)
    chats = f"{count:,} chat{'' if count == 1 else 's'} from assistants"
    return f"{chats}; without effect: {', '.join(map(literal, idle))} (see doctor)" if idle else chats


def files_line(files: FileCounts) -> str:
    """The files of messages by what became of them."""
    told = {"to be fetched": files.pending, "expired": files.expired, "failed": files.failed, "skipped": files.skipped}
    others = "".join(f", {count:,} {what}" for what, count in told.items() if count)
    return f"{files.stored:,} stored ({size(files.bytes_stored)}){others}"


def _span(covered: Coverage, zone: ZoneInfo) -> str:
    if covered.oldest is None or covered.newest is None:
        return "none yet"
    return f"{moment(covered.oldest, zone)} to {moment(covered.newest, zone)}"


def _incomplete(covered: Coverage) -> str:
    parts = [("cut off", covered.truncated), ("failed", covered.failed), ("pending", covered.pending)]
    return "".join(f", {count:,} {word}" for word, count in parts if count)


def _run_line(run: RunView, zone: ZoneInfo) -> str:
    took = f", took {duration(run.ended_at - run.started_at)}" if run.ended_at else ""
    failed = f", {run.chats_failed} failed" if run.chats_failed else ""
    return (
        f"{run.kind} {run.state}: {run.chats_done} of {run.chats_total} chats{failed}, {run.messages_new:,} new messages, "
        f"{moment(run.started_at, zone)}{took}"
    )


def chats(command: Command) -> int:
    """``chats``: a page of chats."""
    args, zone = command.args, command.archive.settings.timezone
    found, cursor, total = command.archive.queries.list_chats(
        query=args.query, kind=args.kind, limit=args.limit, cursor=args.cursor
    )
    if args.json:
        say_json(objects.chats_object(found, cursor, total, zone))
        return 0
    say_table(
        ("id", "name", "kind", "messages", "last message", "sync"),
        (
            (
                chat.party.id,
                _with_former(chat, args.query),
                chat.kind,
                chat.message_count,
                moment(chat.last_message_at, zone),
                chat.sync_progress,
            )
            for chat in found
        ),
    )
    say(f"{len(found):,} of {total:,} chats{_go_on(cursor)}")
    if not found:
        say(_no_chat(command, args.query))
    return 0


def _with_former(chat: ChatView, query: str | None) -> str:
    """The chat's name; in answer to a name also what it was called formerly, for that may be why it stands here."""
    if not query or not chat.former_names:
        return chat.party.name
    return f"{chat.party.name} (formerly {', '.join(chat.former_names[:3])})"


def _no_chat(command: Command, query: str | None) -> str:
    near = command.archive.queries.nearest(query, "chat") if query else ()
    named = f"The nearest: {', '.join(map(literal, near))}. " if near else ""
    return f"{named}`whatsapp-mcp chats` lists all, `whatsapp-mcp status` says what is archived."


def read(command: Command) -> int:
    """``read``: a page of a chat, in ascending time."""
    args = command.args
    page = command.archive.queries.read_chat(
        args.chat, after=args.after, before=args.before, around=args.around, limit=args.limit, cursor=args.cursor
    )
    return _show_page(command, page, several_chats=False)


def search(command: Command) -> int:
    """``search``: the messages that fit."""
    args = command.args
    page = command.archive.queries.search(
        args.query,
        chat=args.chat,
        sender=args.sender,
        after=args.after,
        before=args.before,
        kinds=tuple(args.kind),
        states=tuple(args.state),
        order=args.order,
        context=args.context,
        limit=args.limit,
        cursor=args.cursor,
    )
    return _show_page(command, page, several_chats=args.chat is None)


def _show_page(command: Command, page: Page, *, several_chats: bool) -> int:
    from whatsapp_mcp.export import page_object
    from whatsapp_mcp.server.lines import Style, write_lines

    zone = command.archive.settings.timezone
    if command.args.json:
        say_json(page_object(page, zone))
        return 0
    for line in write_lines(page.messages, Style(zone, with_chat=several_chats)):
        print(line)  # cleaned when it was written; cleaned again, our own marks would pass for somebody's imitations
    say(_page_end(page, zone))
    return 0


def _page_end(page: Page, zone: ZoneInfo) -> str:
    hits = sum(message.is_hit for message in page.messages)
    of_all = f" of {page.total:,}" if page.total is not None and page.total > hits else ""
    newer = f"; newer with --around {page.messages[-1].handle}" if page.has_newer else ""
    lines = [f"{hits:,}{of_all} shown, {page.interval.text}{_go_on(page.next_cursor)}{newer}"]
    lines.append(f"Looked through {_looked_through(page.coverage, zone)}. {page.coverage.note}".rstrip())
    lines += page.notes
    if page.suggestions and page.suggestions.near_words:
        lines.append(f"Words that are near: {', '.join(page.suggestions.near_words)}")
    if page.suggestions and page.suggestions.months_with_hits:
        months = (f"{month} ({count:,})" for month, count in page.suggestions.months_with_hits.items())
        lines.append(f"Found outside of these dates: {', '.join(months)}")
    if not hits:
        lines.append("Try other words or dates or fewer filters; `whatsapp-mcp status` says what is archived.")
    return "\n".join(lines)


def _go_on(cursor: str | None) -> str:
    return f"; more with --cursor {cursor}" if cursor else ""


def analyze(command: Command) -> int:
    """``analyze``: the numbers of an interval."""
    from whatsapp_mcp.analysis import analyze as ask

    args, zone = command.args, command.archive.settings.timezone
    chosen = {"breakdown": tuple(args.breakdown)} if args.breakdown else {}
    found = ask(command.archive.queries, args.after, args.before, chat=args.chat, contact=args.contact, **chosen)
    if args.json:
        say_json(objects.analysis_object(found, zone))
        return 0
    for line in _analysis_lines(found, zone):
        say(line)
    for title, counts in found.breakdowns.items() if found.messages else ():
        say(f"\nBy {title}")
        say_table(
            (title, "messages", "sent", "received"), ((one.label, one.messages, one.sent, one.received) for one in counts)
        )
    return 0


def _analysis_lines(found: Analysis, zone: ZoneInfo) -> Iterable[str]:
    yield f"{found.interval.text}: {many(found.messages, 'message')} ({found.sent:,} sent, {found.received:,} received)"
    yield f"in {many(found.chats, 'chat')} by {many(found.contacts, 'contact')}; {found.media:,} with media"
    if found.busiest_day:
        yield f"Busiest day: {found.busiest_day.label} with {found.busiest_day.messages:,} messages"
    if found.coverage.note:
        yield found.coverage.note
    yield from found.notes
    if not found.messages:
        yield f"Looked through {_looked_through(found.coverage, zone)}. Try a wider interval, or without --chat and --contact."


def _looked_through(covered: Coverage, zone: ZoneInfo) -> str:
    return f"{many(covered.messages, 'message')} in {many(covered.chats, 'chat')}, {_span(covered, zone)}"


def export(command: Command) -> int:
    """``export``: one chat as a file."""
    from whatsapp_mcp.export import Head, Request, export_chat

    args, archive = command.args, command.archive
    queries, zone = archive.queries, archive.settings.timezone
    chat, interval = queries.find_chat(args.chat), queries.interval(args.after, args.before)
    covered = queries.coverage(chat.id, interval)
    head = Head(chat, interval, covered, zone, int(archive.clock.now()), with_files=args.include_media)
    request = Request(args.format, archive.home, include_media=args.include_media)
    done = export_chat(request, head, queries.iter_messages(chat.id, args.after, args.before), _export_progress)
    if args.json:
        say_json(objects.export_object(done))
    else:
        say(f"{many(done.messages, 'message')}, {size(done.size)}: {done.path}")
        if not done.messages:
            say(f"Nothing is archived of {interval.text}: {_looked_through(covered, zone)}. {covered.note}".rstrip())
    return 0


def _export_progress(count: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{count:,} messages", end="\r", file=sys.stderr, flush=True)
