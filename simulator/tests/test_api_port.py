"""The API port: a second port that can be closed while everything else keeps running."""

import asyncio
from collections.abc import Awaitable

import pytest
import requests

from simulator_harness import PATIENCE_SECONDS, Skycore
from skycore_simulator.api_port import ApiPort
from skycore_simulator.server import Server
from skycore_simulator.simulator import Simulator

QUERY = "?action=sendsms&api_key=k&to=17743199144&from=60856&text=a"


def asked(url: str, session: requests.Session | None = None) -> str:
    try:
        return (session.get if session else requests.get)(url, timeout=PATIENCE_SECONDS).text
    except requests.ConnectionError:
        return "refused"


def test_a_closed_api_port_refuses_connections_until_it_is_opened() -> None:
    def change(url: str, wanted: object) -> Awaitable[requests.Response]:
        return asyncio.to_thread(
            requests.patch, url, json={"open": wanted}, timeout=PATIENCE_SECONDS
        )

    def ask(url: str, session: requests.Session | None = None) -> Awaitable[str]:
        return asyncio.to_thread(asked, url, session)

    async def check() -> None:
        server = Server(Simulator(), api_port=ApiPort("127.0.0.1"))
        await server.start()
        assert server.api_port is not None
        api, control = server.api_port.url + QUERY, server.url + "_control/line"
        with requests.Session() as session:
            assert "Success" in await ask(api, session)  # the session keeps its connection open
            assert (await change(control, False)).json() == {
                "url": server.api_port.url,
                "open": False,
            }
            assert await ask(api, session) == "refused"
            assert await ask(api) == "refused"
            assert "Success" in await ask(server.url + QUERY)
            assert (await change(control, False)).status_code == 200
            assert (await change(control, True)).json()["open"] is True
            assert "Success" in await ask(api)
            assert (await change(control, "yes")).status_code == 400
        await server.stop()

    asyncio.run(check())


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_without_an_api_port_there_is_none_to_close(skycore: Skycore, method: str) -> None:
    answer = skycore.session.request(
        method, f"{skycore.server.url}_control/line", json={"open": False}
    )
    assert (answer.status_code, method) in ((200, "GET"), (400, "PATCH"))


def test_a_report_is_at_the_address_where_the_api_was_called() -> None:
    """Clients fetch a report only from the origin of the API."""

    async def check() -> None:
        server = Server(Simulator(), api_port=ApiPort("127.0.0.1"))
        await server.start()
        assert server.api_port is not None
        dates = "start_date=2026-11-01 00:00:00&end_date=2026-11-02 00:00:00"
        query = f"?action=getsendingstatus&api_key=k&{dates}"
        reply = await asyncio.to_thread(asked, server.api_port.url + query)
        assert f"{server.api_port.url}report/" in reply
        await server.stop()

    asyncio.run(check())
