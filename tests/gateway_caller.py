"""A program of the gateway's user: calls methods over real HTTP and reads their JSON."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from whatsapp_mcp.demo.gateway import VERBS, Gateway
from whatsapp_mcp.demo.running import serve_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whatsapp_mcp.demo.account import Account


class Caller:
    """Calls methods of a gateway as a program of its user would."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.http = httpx.Client(timeout=5)

    def call(self, method: str, argument: str = "", **arguments: Any) -> httpx.Response:
        url = f"{self.gateway.url}/waInstance{self.gateway.id_instance}/{method}/{self.gateway.token}{argument}"
        verb = VERBS.get(method, "GET")
        if verb == "POST":
            return self.http.post(url, json=arguments)
        return self.http.request(verb, url, params=arguments)

    def get(self, method: str, argument: str = "", **arguments: Any) -> Any:
        response = self.call(method, argument, **arguments)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        return response.json()

    def history(self, chat: str, count: int = 100_000) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = self.get("getChatHistory", chatId=chat, count=count)
        return answer


@contextmanager
def calling(account: Account, *, rate_scale: float = 1000, patience: float = 0.01) -> Iterator[Caller]:
    with serve_gateway(account, rate_scale=rate_scale, patience=patience) as gateway:
        caller = Caller(gateway)
        with caller.http:
            yield caller


def mike(account: Account) -> str:
    return account.person("Mike").id
