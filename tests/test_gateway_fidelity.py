"""A client that nobody here wrote reads the simulated gateway: Green API's own ``whatsapp-api-client-python``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from whatsapp_api_client_python import API

from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.running import serve_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whatsapp_mcp.demo.gateway import Gateway

ACCOUNT = make_account(size=SMALL)
MIKE = ACCOUNT.person("Mike").id


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with serve_gateway(ACCOUNT, rate_scale=1000, patience=0.01) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[API.GreenAPI]:
    client = API.GreenAPI(gateway.id_instance, gateway.token, raise_errors=True, host=gateway.url, media=gateway.url)
    with client.session:
        yield client


def test_it_reads_the_state_and_the_settings(client: API.GreenAPI) -> None:
    assert client.account.getStateInstance().data == {"stateInstance": "authorized"}
    assert client.account.getSettings().data["wid"] == ACCOUNT.owner.id
    assert client.account.getWaSettings().data["phone"] == "15550100001"


def test_it_reads_the_directories(client: API.GreenAPI) -> None:
    assert len(client.serviceMethods.getContacts().data) == len(ACCOUNT.contacts) + len(ACCOUNT.groups)
    assert client.serviceMethods.getContactInfo(MIKE).data["contactName"] == "Mike Turner"
    assert client.groups.getGroupData(ACCOUNT.groups[0].id).data["subject"] == ACCOUNT.groups[0].subject
    assert client.serviceMethods.getAvatar(MIKE).data["available"] is True
    assert len(client.serviceMethods.getChats().data) == len(ACCOUNT.chat_ids)


def test_it_reads_histories_messages_and_journals(client: API.GreenAPI) -> None:
    history = client.journals.getChatHistory(MIKE, 100_000).data
    assert len(history) == len([entry for entry in ACCOUNT.history[MIKE] if entry.kind != "call"])
    assert client.journals.getMessage(MIKE, history[0]["idMessage"]).data == history[0]
    assert {item["type"] for item in client.journals.lastIncomingMessages(5_000_000).data} == {"incoming"}
    assert {item["type"] for item in client.journals.lastOutgoingMessages(5_000_000).data} == {"outgoing"}
    assert client.journals.lastIncomingCalls(1440).data[0]["typeMessage"] == "incomingCall"
    assert client.journals.lastOutgoingCalls(1440).data[0]["typeMessage"] == "outgoingCall"


def test_it_empties_the_queue(client: API.GreenAPI, gateway: Gateway) -> None:
    said = gateway.deliver(gateway.compose(MIKE, "for the queue"))
    notification = client.receiving.receiveNotification().data
    assert notification["body"]["typeWebhook"] == "incomingMessageReceived"
    assert notification["body"]["idMessage"] == said.id
    assert client.receiving.deleteNotification(notification["receiptId"]).data == {"result": True}
    assert client.receiving.receiveNotification().data is None


def test_it_reads_statuses(client: API.GreenAPI) -> None:
    assert {item["type"] for item in client.statuses.getIncomingStatuses(43_200).data} == {"incoming"}
    (own,) = client.statuses.getOutgoingStatuses(1440).data
    assert {view["status"] for view in client.statuses.getStatusStatistic(own["idMessage"]).data} == {"read"}


def test_it_downloads_a_file(client: API.GreenAPI) -> None:
    history = client.journals.getChatHistory(MIKE, 100_000).data
    document = next(item for item in history if item.get("fileName") == "order-kitchen-table.pdf")
    url = client.receiving.downloadFile(MIKE, document["idMessage"]).data["downloadUrl"]
    assert url == document["downloadUrl"]
    assert httpx.get(url).content.startswith(b"%PDF")
    assert httpx.get(url).headers["content-type"] == "application/pdf"


def test_it_meets_the_errors_that_it_expects(gateway: Gateway) -> None:
    stranger = API.GreenAPI(gateway.id_instance, "wrong", raise_errors=True, host=gateway.url, media=gateway.url)
    with stranger.session, pytest.raises(API.GreenAPIError, match="401"):
        stranger.account.getStateInstance()
