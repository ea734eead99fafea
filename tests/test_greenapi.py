"""The Green API client against a real server on loopback, on a clock on which hours pass in no time."""

from __future__ import annotations

import gc
import inspect
import json
import logging
import socket
import traceback
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest
from fake_clock import FakeClock
from loopback import Answer, Asked, Loopback, loopback

from whatsapp_mcp.errors import (
    ArchiveError,
    CredentialsError,
    GatewayError,
    InstanceGone,
    InstanceStarting,
    NotAuthorized,
    QuotaReached,
    RateLimited,
    RequestRefused,
    SettingsError,
    Unreachable,
    UnreadableAnswer,
)
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.greenapi.methods import METHODS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ID = "7105000001"
TOKEN = "fictional0token0do0not0use0000000000000000000000"
PERSON = "15550100002@c.us"
ONE_CHAT = '[{"id":"15550100002@c.us"}]'
GROUP = "120363000000000001@g.us"

CALLS: dict[str, Callable[[GreenApi], object]] = {
    "getStateInstance": lambda api: api.get_state_instance(),
    "getSettings": lambda api: api.get_settings(),
    "getWaSettings": lambda api: api.get_wa_settings(),
    "getContacts": lambda api: api.get_contacts(),
    "getContactInfo": lambda api: api.get_contact_info(PERSON),
    "getChats": lambda api: api.get_chats(),
    "getChatHistory": lambda api: api.get_chat_history(PERSON, 500),
    "getMessage": lambda api: api.get_message(PERSON, "3A00"),
    "lastIncomingMessages": lambda api: api.last_incoming_messages(60),
    "lastOutgoingMessages": lambda api: api.last_outgoing_messages(60),
    "lastIncomingCalls": lambda api: api.last_incoming_calls(60),
    "lastOutgoingCalls": lambda api: api.last_outgoing_calls(60),
    "getIncomingStatuses": lambda api: api.get_incoming_statuses(60),
    "getOutgoingStatuses": lambda api: api.get_outgoing_statuses(60),
    "getGroupData": lambda api: api.get_group_data(GROUP),
    "getAvatar": lambda api: api.get_avatar(PERSON),
    "downloadFile": lambda api: api.download_file(PERSON, "3A00"),
    "receiveNotification": lambda api: api.receive_notification(20),
    "deleteNotification": lambda api: api.delete_notification(77),
    "getWebhooksCount": lambda api: api.get_webhooks_count(),
}
SENT: dict[str, tuple[str, dict[str, str], object]] = {
    "getContactInfo": ("POST", {}, {"chatId": PERSON}),
    "getChatHistory": ("POST", {}, {"chatId": PERSON, "count": 500}),
    "getMessage": ("POST", {}, {"chatId": PERSON, "idMessage": "3A00"}),
    "lastIncomingMessages": ("GET", {"minutes": "60"}, None),
    "lastOutgoingMessages": ("GET", {"minutes": "60"}, None),
    "lastIncomingCalls": ("GET", {"minutes": "60"}, None),
    "lastOutgoingCalls": ("GET", {"minutes": "60"}, None),
    "getIncomingStatuses": ("GET", {"minutes": "60"}, None),
    "getOutgoingStatuses": ("GET", {"minutes": "60"}, None),
    "getGroupData": ("POST", {}, {"groupId": GROUP}),
    "getAvatar": ("POST", {}, {"chatId": PERSON}),
    "downloadFile": ("POST", {}, {"chatId": PERSON, "idMessage": "3A00"}),
    "receiveNotification": ("GET", {"receiveTimeout": "20"}, None),
    "deleteNotification": ("DELETE", {}, None),
}


class RealTimeForTheNetwork(FakeClock):
    """Sleeps take no time, so that a test with a real server need not wait; `slept` says how long they would have been."""

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.time += seconds
        await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def gateway(play: Callable[[Asked], Answer]) -> AsyncIterator[tuple[GreenApi, Loopback, FakeClock]]:
    clock = RealTimeForTheNetwork()
    async with loopback(play) as server, GreenApi(Credentials(server.url, ID, TOKEN), clock=clock) as api:
        yield api, server, clock


def in_turn(*answers: Answer) -> Callable[[Asked], Answer]:
    """Answers one after the other; the last one for ever."""
    rest = list(answers)
    return lambda _: rest.pop(0) if len(rest) > 1 else rest[0]


def error(status: int, message: str) -> Answer:
    path = f"/waInstance{ID}/getChatHistory/{TOKEN}"
    return status, json.dumps({"statusCode": status, "path": path, "message": message})


def public_methods() -> set[str]:
    return {name for name, _ in inspect.getmembers(GreenApi, inspect.iscoroutinefunction) if not name.startswith("_")}


def test_the_client_can_do_nothing_but_read_and_acknowledge() -> None:
    assert set(METHODS) == set(CALLS)
    assert len(public_methods()) == len(METHODS)
    words = ("set", "send", "edit", "read_", "archive", "clear", "log", "reboot", "leave", "add", "remove", "create", "check")
    assert not [name for name in public_methods() if name.startswith(words)]
    assert [name for name, method in METHODS.items() if method.verb not in {"GET", "POST"}] == ["deleteNotification"]


@pytest.mark.parametrize("name", CALLS)
async def test_each_method_asks_as_documented_and_returns_the_letters_untouched(name: str) -> None:
    body = (
        '[ {"idMessage" :"3A00", "n":1.50} ]'
        if METHODS[name].shape.name in {"LIST", "JOURNAL"}
        else '{"idMessage" :"3A00", "n":1.50}'
    )
    async with gateway(lambda _: (200, body)) as (api, server, clock):
        payload = await CALLS[name](api)  # type: ignore[misc]
        verb, query, sent = SENT.get(name, ("GET", {}, None))
        asked = server.asked[0]
        tail = "/77" if name == "deleteNotification" else ""
        assert (asked.verb, asked.path) == (verb, f"/waInstance{ID}/{name}/{TOKEN}{tail}")
        assert (asked.query, asked.body) == (query, sent)
        assert payload.origin == name
        assert payload.items == ('{"idMessage" :"3A00", "n":1.50}',)
        assert payload.received_at == int(clock.now())
        assert api.statistics.requests == {name: 1}


async def test_the_arguments_that_matter_travel_with_the_payload() -> None:
    async with gateway(lambda _: (200, "[]")) as (api, _, _):
        payload = await api.get_chat_history(PERSON, 500)
    assert payload.context == {"chatId": PERSON, "count": "500"}


REFUSALS = [
    ((401, ""), CredentialsError),
    ((403, ""), CredentialsError),
    ((404, ""), CredentialsError),
    ((302, ""), CredentialsError),
    ((466, '{"invokeStatus":{"method":"getChatHistory","used":300,"total":300,"status":"QUOTE_EXCEEDED"}}'), QuotaReached),
    ((466, '{"correspondentsStatus":{"status":"CORRESPONDENTS_QUOTE_EXCEEDED"}}'), QuotaReached),
    (error(400, "instance account not authorized"), NotAuthorized),
    (error(400, "Instance account is expired. Renew your instance from personal area"), InstanceGone),
    (error(400, "Instance is deleted"), InstanceGone),
    (error(400, "Instance is blocked"), InstanceGone),
    (error(400, f"chatId {PERSON} not found, token {TOKEN}"), RequestRefused),
    (error(413, "too large"), RequestRefused),
    ((400, "no json at all"), RequestRefused),
    ((400, ""), RequestRefused),
]


@pytest.mark.parametrize(("answer", "kind"), REFUSALS)
async def test_what_cannot_be_helped_is_said_at_once(answer: Answer, kind: type[GatewayError]) -> None:
    async with gateway(lambda _: answer) as (api, server, clock):
        with pytest.raises(kind) as caught:
            await api.get_chat_history(PERSON, 100)
    assert ([asked.method for asked in server.asked].count("getChatHistory"), clock.slept) == (1, 0)
    assert "\n" not in str(caught.value)
    assert "15550100002" not in str(caught.value)


async def test_a_refusal_says_the_gateways_reason() -> None:
    async with gateway(lambda _: error(400, "ID message notfound")) as (api, _, _):
        with pytest.raises(RequestRefused, match=r"refused getMessage \(400\): ID message notfound\."):
            await api.get_message(PERSON, "3A00")


async def test_too_many_requests_are_repeated_counted_and_slow_the_pace() -> None:
    async with gateway(in_turn((429, "Too Many Requests"), (429, ""), (200, ONE_CHAT))) as (api, server, _):
        assert (await api.get_chats()).items == (ONE_CHAT[1:-1],)
        assert len(server.asked) == 3
        assert api.statistics.throttled == {"getChats": 2}
        assert api.statistics.requests == {"getChats": 3}


async def test_endless_429_end_in_an_error_that_names_the_cause() -> None:
    async with gateway(lambda _: (429, "")) as (api, server, clock):
        with pytest.raises(RateLimited):
            await api.get_chats()
    assert len(server.asked) == 7
    assert 30 <= clock.slept <= 150


@pytest.mark.parametrize("status", [500, 502, 503, 504, 499, 408])
async def test_a_failing_gateway_is_asked_again(status: int) -> None:
    async with gateway(in_turn((status, "<html>Bad Gateway</html>"), (200, ONE_CHAT))) as (api, server, _):
        await api.get_chats()
    assert len(server.asked) == 2


async def test_a_gateway_that_keeps_failing_is_unreachable() -> None:
    async with gateway(lambda _: (502, "<html>")) as (api, server, clock):
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1 could not answer getChats \(502\)"):
            await api.get_chats()
    assert len(server.asked) == 5
    assert clock.slept <= 40


async def test_a_file_that_whatsapp_no_longer_serves_is_refused_and_not_the_gateways_fault() -> None:
    async with gateway(lambda _: (500, "")) as (api, _, _):
        with pytest.raises(RequestRefused, match="no longer serves"):
            await api.download_file(PERSON, "3A00")


async def test_where_nobody_listens_it_is_said_after_a_few_tries() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        async with GreenApi(Credentials(url, ID, TOKEN), clock=RealTimeForTheNetwork()) as api:
            with pytest.raises(Unreachable, match=r"127\.0\.0\.1 cannot be reached"):
                await api.get_state_instance()
            assert api.statistics.requests == {"getStateInstance": 3}


async def test_a_host_that_does_not_exist_is_named() -> None:
    async with GreenApi(Credentials("http://nowhere.invalid", ID, TOKEN), clock=RealTimeForTheNetwork()) as api:
        with pytest.raises(Unreachable, match=r"nowhere\.invalid"):
            await api.get_state_instance()


async def test_a_connection_that_breaks_in_the_middle_is_tried_again() -> None:
    def play(_: Asked) -> Answer:
        if len(server.asked) == 1:
            raise ConnectionResetError
        return 200, "[]"

    async with gateway(play) as (api, server, _):
        assert (await api.get_chats()).items == ()


async def test_a_restarting_instance_is_waited_for() -> None:
    starting = error(400, "instance in starting process try later")
    async with gateway(in_turn(starting, starting, (200, ONE_CHAT))) as (api, _, clock):
        await api.get_chats()
    assert 20 <= clock.slept <= 90


async def test_an_instance_that_never_starts_is_not_waited_for_longer_than_it_may_take() -> None:
    async with gateway(lambda _: error(400, "instance in starting process try later")) as (api, _, clock):
        with pytest.raises(InstanceStarting):
            await api.get_chats()
    assert 150 <= clock.slept <= 460


@pytest.mark.parametrize(("state", "kind"), [("notAuthorized", NotAuthorized), ("starting", InstanceStarting)])
async def test_an_ambiguous_refusal_is_decided_by_the_instances_state(state: str, kind: type[GatewayError]) -> None:
    def play(asked: Asked) -> Answer:
        if asked.method == "getStateInstance":
            return 200, json.dumps({"stateInstance": state})
        return error(400, "instance is starting or not authorized")

    async with gateway(play) as (api, _, _):
        with pytest.raises(kind):
            await api.get_chats()


WHOLE = '[{"idMessage":"1"},{"idMessage":"2"},{"idMessage":"3"}]'
STRAY = '[{"idMessage":"1"},,{"idMessage":"2"},{"idMessage":"3"}]'
SHORT = '[{"idMessage":"1"},{"idMessage":"2"},{"idMe'


@pytest.mark.parametrize("name", ["getChatHistory", "lastIncomingMessages", "lastOutgoingMessages"])
async def test_a_damaged_journal_is_fetched_again(name: str) -> None:
    async with gateway(in_turn((200, SHORT), (200, WHOLE))) as (api, server, _):
        payload = await CALLS[name](api)  # type: ignore[misc]
    assert (len(payload.items), payload.damaged, len(server.asked)) == (3, False, 2)
    assert server.asked[0].body == server.asked[1].body


@pytest.mark.parametrize(("body", "items"), [(STRAY, 3), (SHORT, 3)])
async def test_a_journal_that_stays_damaged_is_kept_as_far_as_it_can_be_read(body: str, items: int) -> None:
    async with gateway(lambda _: (200, body)) as (api, server, _):
        payload = await api.get_chat_history(PERSON, 100)
    assert (len(payload.items), payload.damaged, len(server.asked)) == (items, True, 4)
    assert payload.items[0] == '{"idMessage":"1"}'


@pytest.mark.parametrize(
    "body", ["<html>captive portal</html>", "[", '[{"idMe', '{"a":', '{"error":"odd"}', '"Error: internal"']
)
async def test_an_answer_that_is_no_list_is_unreadable_after_all_tries(body: str) -> None:
    async with gateway(lambda _: (200, body)) as (api, server, _):
        with pytest.raises(UnreadableAnswer):
            await api.get_chat_history(PERSON, 100)
    assert len(server.asked) == 4


async def test_a_damaged_answer_of_another_method_is_unreadable() -> None:
    async with gateway(lambda _: (200, SHORT)) as (api, _, _):
        with pytest.raises(UnreadableAnswer):
            await api.get_chats()


async def test_letters_that_are_no_utf8_are_damage() -> None:
    async with loopback(lambda _: (200, "")) as server:

        async def serve(_: Asked) -> Answer:
            return 200, WHOLE.replace("2", "\udcff")

        server.play = serve
        async with GreenApi(Credentials(server.url, ID, TOKEN), clock=RealTimeForTheNetwork()) as api:
            payload = await api.last_incoming_messages(60)
    assert payload.damaged
    assert payload.items[0] == '{"idMessage":"1"}'


async def test_an_empty_list_of_contacts_means_try_again() -> None:
    async with gateway(in_turn((200, "[]"), (200, '[{"id":"15550100002@c.us"}]'))) as (api, _, _):
        assert len((await api.get_contacts()).items) == 1


async def test_an_account_without_contacts_is_believed_in_the_end() -> None:
    async with gateway(lambda _: (200, "[]")) as (api, server, _):
        assert (await api.get_contacts()).items == ()
    assert len(server.asked) == 3


@pytest.mark.parametrize("body", ["null", "", '"Error: item-not-found"', '"Error:forbiden"'])
async def test_a_group_that_the_gateway_will_not_tell_about_is_refused(body: str) -> None:
    async with gateway(lambda _: (200, body)) as (api, server, _):
        with pytest.raises(RequestRefused):
            await api.get_group_data(GROUP)
    assert len(server.asked) == 1


@pytest.mark.parametrize("body", ["null", ""])
async def test_an_empty_queue_and_an_unknown_state_are_payloads_without_items(body: str) -> None:
    async with gateway(lambda _: (200, body)) as (api, _, _):
        assert (await api.receive_notification(5)).items == ()
        assert (await api.get_state_instance()).items == ()


async def test_a_list_that_is_null_is_asked_for_again_and_then_empty() -> None:
    async with gateway(lambda _: (200, "null")) as (api, server, _):
        assert (await api.get_chats()).items == ()
    assert len(server.asked) == 3


async def test_settings_that_are_not_there_yet_mean_a_starting_instance() -> None:
    async with gateway(lambda _: (200, "null")) as (api, _, _):
        with pytest.raises(InstanceStarting):
            await api.get_settings()


async def test_redirects_are_not_followed() -> None:
    async with gateway(lambda _: (301, "")) as (api, server, _):
        with pytest.raises(CredentialsError, match="wrong host"):
            await api.get_chats()
    assert len(server.asked) == 1


async def test_different_methods_do_not_wait_for_each_other() -> None:
    clock = FakeClock()
    async with (
        loopback(lambda _: (200, ONE_CHAT)) as server,
        GreenApi(Credentials(server.url, ID, TOKEN), clock=clock) as api,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(api.get_chats)
        tasks.start_soon(api.last_incoming_messages, 60)
        tasks.start_soon(api.last_outgoing_messages, 60)
        tasks.start_soon(api.get_chat_history, PERSON, 10)
    assert clock.time == 0


@pytest.mark.parametrize(
    ("url", "instance", "token"),
    [
        ("ftp://7105.api.greenapi.com", ID, TOKEN),
        ("7105.api.greenapi.com", ID, TOKEN),
        ("https://", ID, TOKEN),
        ("https://host:port", ID, TOKEN),
        ("https://me:you@host", ID, TOKEN),
        (f"https://7105.api.greenapi.com/waInstance{ID}/getChats/{TOKEN}", ID, TOKEN),
        ("https://7105.api.greenapi.com", "", TOKEN),
        ("https://7105.api.greenapi.com", "71o5", TOKEN),
        ("https://7105.api.greenapi.com", ID, ""),
        ("https://7105.api.greenapi.com", ID, f"{TOKEN}/getChats"),
        ("https://7105.api.greenapi.com", ID, f"{TOKEN}\n"),
    ],
)
def test_credentials_that_cannot_work_are_refused_with_the_name_of_the_setting(url: str, instance: str, token: str) -> None:
    with pytest.raises(SettingsError, match="GREEN_API_") as caught:
        GreenApi(Credentials(url, instance, token), clock=FakeClock())
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_rate_scale_must_be_a_number_above_zero(scale: float) -> None:
    with pytest.raises(SettingsError, match="GREEN_API_RATE_SCALE"):
        GreenApi(Credentials("https://7105.api.greenapi.com", ID, TOKEN), rate_scale=scale, clock=FakeClock())


LEAKY: list[Answer] = [
    *[answer for answer, _ in REFUSALS],
    error(500, "internal"),
    error(429, "Too Many Requests"),
    error(400, "instance in starting process try later"),
    error(400, f"GET /waInstance{ID}/getChatHistory/{TOKEN} failed"),
    (200, f'"Error: /waInstance{ID}/getChatHistory/{TOKEN}"'),
    (200, f"<html>/waInstance{ID}/getChatHistory/{TOKEN}"),
]


def everything_said_by(raised: BaseException | None) -> str:
    texts: list[str] = []
    while raised is not None:
        texts += [str(raised), repr(raised), repr(raised.args), *traceback.format_exception(raised)]
        raised = raised.__cause__ or raised.__context__
    return "\n".join(texts)


@pytest.mark.parametrize("answer", LEAKY)
async def test_the_token_appears_in_no_error_and_no_log(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    logging.getLogger("httpcore.http11").setLevel(logging.DEBUG)
    async with gateway(lambda _: answer) as (api, _, _):
        with pytest.raises(ArchiveError) as caught:
            await api.get_group_data(GROUP)
        assert TOKEN not in repr(api)
    assert caught.value.__context__ is None
    assert TOKEN not in everything_said_by(caught.value)
    assert TOKEN not in caplog.text


async def test_the_token_appears_nowhere_when_the_network_fails(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with GreenApi(Credentials("http://nowhere.invalid", ID, TOKEN), clock=RealTimeForTheNetwork()) as api:
        with pytest.raises(Unreachable) as caught:
            await api.get_chats()
    assert TOKEN not in everything_said_by(caught.value) + caplog.text
    gc.collect()


def test_the_token_is_hidden_in_the_credentials_own_text() -> None:
    assert TOKEN not in repr(Credentials("https://7105.api.greenapi.com", ID, TOKEN))
