"""The line: a second address that can be cut while the rest goes on."""

import asyncio

import pytest
import requests

from local.simulator.line import Line
from local.simulator.server import Server
from local.simulator.simulator import Simulator

QUERY = "?action=sendsms&api_key=k&to=17743199144&from=60856&text=a"


def asked(url: str, session: requests.Session | None = None) -> str:
    try:
        return (session or requests).get(url, timeout=5).text
    except requests.ConnectionError:
        return "refused"


def test_a_cut_line_refuses_connections_and_comes_back() -> None:
    async def check() -> None:
        server = Server(Simulator(), line=Line("127.0.0.1"))
        await server.start()
        assert server.line is not None
        line, control = server.line.url + QUERY, server.url + "_control/line"
        with requests.Session() as session:
            ask = lambda url, how=None: asyncio.to_thread(asked, url, how)  # noqa: E731
            assert "Success" in await ask(line, session)  # which keeps its connection open
            change = lambda wanted: asyncio.to_thread(  # noqa: E731
                requests.patch, control, json={"open": wanted}, timeout=5
            )
            assert (await change(False)).json() == {"url": server.line.url, "open": False}
            assert await ask(line, session) == "refused"
            assert await ask(line) == "refused"
            assert "Success" in await ask(server.url + QUERY)
            assert (await change(False)).status_code == 200
            assert (await change(True)).json()["open"] is True
            assert "Success" in await ask(line)
            assert (await change("yes")).status_code == 400
        await server.stop()

    asyncio.run(check())


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_without_a_line_there_is_none_to_cut(skycore, method) -> None:
    answer = skycore.session.request(
        method, f"{skycore.server.url}_control/line", json={"open": False}
    )
    assert (answer.status_code, method) in ((200, "GET"), (400, "PATCH"))
