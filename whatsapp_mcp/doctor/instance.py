"""The instance at Green API: its state, its settings, and what waits in its queue. The network is used, and only to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from whatsapp_mcp.doctor.check import Check, failed
from whatsapp_mcp.errors import GatewayError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.doctor.check import Level
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.views import Queue, Status

WANTED_ON: Final[Mapping[str, str]] = {
    "incomingWebhook": "received messages are missing from the journal",
    "outgoingMessageWebhook": "messages sent from the phone are missing from the journal",
    "outgoingAPIMessageWebhook": "messages sent through the API are not reported",
    "outgoingWebhook": "sent, delivered and read are not reported",
    "editedMessageWebhook": "edits are not reported",
    "deletedMessageWebhook": "deletions are not reported",
    "pollMessageWebhook": "polls and votes are not reported",
    "incomingCallWebhook": "received calls are not reported",
    "outgoingCallWebhook": "outgoing calls are not reported",
    "stateWebhook": "a lost connection is not reported",
}
"""Settings that an archive needs, and what is lost without each (Green API docs, SetSettings). What arrives while one is off is
not kept by Green API."""

WANTED_OFF: Final[Mapping[str, str]] = {
    "markIncomingMessagesReaded": "every message that you receive is marked as read",
    "markIncomingMessagesReadedOnReply": "messages are marked as read when the API answers",
    "keepOnlineStatus": "you are shown as online all day",
}
"""Settings by which the instance would act in your name (Green API docs, SetSettings)."""

_SET: Final = "Set the three GREEN_API_ values in .env; an archive of exports alone needs none."
_LATER: Final = "Run `whatsapp-mcp doctor` again later; nothing else depends on that number."
_MANY: Final = 100
"""So many notifications wait only where nobody reads them, or too slowly: the queue brings about fifty a second."""
_STATES: Final[Mapping[str, tuple[Level, str]]] = {
    "authorized": ("ok", ""),
    "suspended": ("warn", "WhatsApp limits what this number sends; reading goes on, and nothing needs to be done."),
    "starting": ("warn", "The instance is starting; wait five minutes."),
    "sleepMode": ("warn", "The instance sleeps because its phone is off; switch it on."),
    "notAuthorized": ("fail", "Open the Green API console and scan the QR code with the phone."),
    "blocked": ("fail", "WhatsApp has blocked this number; what is archived stays readable."),
}
"""States of an instance (Green API docs, GetStateInstance)."""


async def check_instance(archive: Archive, status: Status | None) -> list[Check]:
    """What Green API says of the instance; `status` is what the archive knows of its queue."""
    try:
        gateway = archive.gateway()
    except SettingsError:
        return [Check("instance", "warn", "The instance was not asked: there are no usable credentials.", _SET)]
    from whatsapp_mcp.normalise import instance_settings, instance_state

    async with gateway:
        state = instance_state(await gateway.get_state_instance())
        checks = [check_state(state)]
        flags: Mapping[str, str] = {}
        mode = status.queue.mode if status else ""
        try:
            flags = instance_settings(await gateway.get_settings())
            checks += check_flags(flags, mode)
        except GatewayError as error:
            checks.append(failed("instance settings", error))
        checks += await _check_queue(gateway, status, flags)
    return checks


async def _check_queue(gateway: GreenApi, status: Status | None, flags: Mapping[str, str]) -> list[Check]:
    from whatsapp_mcp.normalise import waiting_count

    listens = status is not None and status.queue.listens_now
    try:
        count = waiting_count(await gateway.get_webhooks_count())
    except GatewayError as error:
        checks = [Check("queue", "warn", f"How many notifications wait is not known: {error.what}", error.advice or _LATER)]
    else:
        checks = check_waiting(count, listens=listens, is_pushed=bool(flags.get("webhookUrl")))
    return checks + (check_consumers(status.queue, flags) if status else [])


def check_state(state: str) -> Check:
    """The instance is linked to the phone and works."""
    level, advice = _STATES.get(state, ("warn", "This version does not know that state; look into the Green API console."))
    return Check("instance", level, f"The instance is {state or 'in no known state'}.", advice, int(level == "fail"))


def check_flags(flags: Mapping[str, str], mode: str = "") -> list[Check]:
    """The instance reports what an archive needs, to where it listens, and does nothing in your name.

    `mode` is how the archive listened last: ``queue``, ``webhook``, or empty for never.
    """
    checks = [
        Check("instance settings", "warn", f"{name} is off: {loss}.", f"Switch {name} on in the Green API console.")
        for name, loss in WANTED_ON.items()
        if flags.get(name) != "yes"
    ]
    checks += [
        Check("instance settings", "fail", f"{name} is on: {deed}.", f"Switch {name} off in the Green API console.", 1)
        for name, deed in WANTED_OFF.items()
        if flags.get(name) == "yes"
    ]
    checks += _check_address(mode, is_set=bool(flags.get("webhookUrl")))
    return checks or [Check("instance settings", "ok", "The instance reports all that an archive needs.")]


def _check_address(mode: str, *, is_set: bool) -> list[Check]:
    """Polling and a webhook exclude each other (Green API docs, "technology-http-api")."""
    if is_set and mode == "webhook":
        return [Check("webhook", "ok", "Notifications go to a webhook address, and this archive has received some so.")]
    if is_set:
        what = (
            "A webhook address is set at Green API (webhookUrl), so nothing waits in the notification queue:"
            " polling and a webhook exclude each other."
        )
        advice = (
            "To poll with `whatsapp-mcp listen`, clear webhookUrl in the Green API console and wait five minutes."
            " If the address leads to this computer, run `whatsapp-mcp listen --webhook` instead."
            " If another program needs it, leave it: `whatsapp-mcp sync recent` works either way."
        )
        return [Check("webhook", "warn", what, advice)]
    if mode == "webhook":
        what = "This archive listened to a webhook last, but no address is set at Green API: notifications wait in the queue."
        advice = "Run `whatsapp-mcp listen`, or set webhookUrl in the Green API console for `whatsapp-mcp listen --webhook`."
        return [Check("webhook", "warn", what, advice)]
    return []


def check_waiting(count: int | None, *, listens: bool, is_pushed: bool = False) -> list[Check]:
    """Notifications are taken before Green API drops them, which it does after a day (Green API docs, ReceiveNotification).

    `listens` says whether this archive listens now, `is_pushed` whether Green API sends them to a webhook address.
    """
    if count is None:
        return [Check("queue", "warn", "Green API does not say how many notifications wait.", _LATER)]
    said = f"{count:,} notification{' waits' if count == 1 else 's wait'} at Green API"
    if count < _MANY:
        return [Check("queue", "ok", f"{said}.")]
    if is_pushed:
        advice = "Look whether the receiver at webhookUrl runs and answers 200; until then nothing behind the first one comes."
        return [Check("queue", "warn", f"{said} and the webhook address does not take them.", advice)]
    if listens:
        advice = "Look again in a minute; if the number does not fall, restart `whatsapp-mcp listen`."
        return [Check("queue", "warn", f"{said} although this archive listens.", advice)]
    advice = "Run `whatsapp-mcp listen`, or `whatsapp-mcp listen --drain` to take what waits."
    return [Check("queue", "warn", f"{said} and nobody listens; each is dropped after 24 hours.", advice)]


_TOLD_BY: Final[Mapping[str, tuple[str, str]]] = {
    "incoming": ("received", "incomingWebhook"),
    "outgoing": ("sent", "outgoingMessageWebhook"),
}


def check_consumers(queue: Queue, flags: Mapping[str, str]) -> list[Check]:
    """Nobody else empties the queue: notifications brought what journals and histories have of the time of listening."""
    checks = [_suspicion(queue, way, flags) for way in queue.suspected]
    told = queue.told_incoming + queue.told_outgoing
    if checks or not told:
        return checks
    return [Check("queue", "ok", "Notifications brought what was sent and received while this archive listened.")]


def _suspicion(queue: Queue, way: str, flags: Mapping[str, str]) -> Check:
    what, flag = _TOLD_BY[way]
    missed, told = getattr(queue, f"missed_{way}"), getattr(queue, f"told_{way}")
    said = f"While this archive listened, {missed:,} of {missed + told:,} messages {what} in the last 30 days were never told"
    if flags and flags.get(flag) != "yes":
        return Check("queue", "warn", f"{said}; {flag} is off.", f"Switch {flag} on in the Green API console.")
    why = "another program (a second consumer, such as Green API's hosted MCP server or an automation) seems to empty the same"
    advice = (
        "Stop the other program, or give it an instance of its own: each notification is handed out once."
        " `whatsapp-mcp sync recent` brings what it took, as long as both must run."
    )
    return Check("queue", "warn", f"{said}: {why} queue.", advice)
