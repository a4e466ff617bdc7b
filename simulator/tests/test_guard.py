"""Other web sites in the same browser get nothing and change nothing."""

import pytest

from simulator_harness import Skycore

OWN = "http://{host}"


@pytest.mark.parametrize(
    "method, headers, status",
    [
        ("PATCH", {}, 200),
        ("PATCH", {"Origin": OWN}, 200),
        ("PATCH", {"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, 200),
        ("PATCH", {"Sec-Fetch-Site": "none"}, 200),
        ("PATCH", {"Origin": "http://evil.example"}, 403),
        ("PATCH", {"Origin": "null"}, 403),
        ("PATCH", {"Origin": "http://127.0.0.1:1"}, 403),
        ("PATCH", {"Origin": "https://{host}"}, 403),
        ("PATCH", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("PATCH", {"Sec-Fetch-Site": "same-site"}, 403),
        ("PATCH", {"Host": "evil.example"}, 403),
        ("PATCH", {"Host": "evil.example", "Origin": "http://evil.example"}, 403),
        ("PATCH", {"Host": "127.0.0.1.evil.example:8085"}, 403),
        ("PATCH", {"Host": "localhost:8085"}, 200),
        ("PATCH", {"Host": "[::1]:8085"}, 200),
        ("GET", {}, 200),
        ("GET", {"Host": "evil.example"}, 403),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, 200),  # no script may read the answer
    ],
    ids=str,
)
def test_who_may_use_the_control_api(
    skycore: Skycore, method: str, headers: dict[str, str], status: int
) -> None:
    host = f"127.0.0.1:{skycore.server.port}"
    answer = skycore.session.request(
        method,
        f"{skycore.server.url}_control/settings",
        json={} if method == "PATCH" else None,
        headers={name: value.format(host=host) for name, value in headers.items()},
    )
    assert answer.status_code == status
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("query", ["", "?action=sendsms&api_key=k&to=17743199144"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "headers, is_site",
    [
        ({}, False),
        ({"Host": "sms.example"}, False),
        ({"Origin": OWN}, False),
        ({"Origin": "http://evil.example"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, True),
    ],
    ids=str,
)
def test_skycores_api_is_for_programs(
    skycore: Skycore, headers: dict[str, str], is_site: bool, method: str, query: str
) -> None:
    host = f"127.0.0.1:{skycore.server.port}"
    answer = skycore.session.request(
        method,
        skycore.server.url + query,
        headers={name: value.format(host=host) for name, value in headers.items()},
    )
    rebound = "evil" in headers.get("Host", "")
    link = method == "GET" and not query and not rebound  # to the page: it does nothing
    assert answer.status_code == (403 if is_site and not link else 200)
    assert len(skycore.control("GET", "requests")["requests"]) == (
        answer.status_code == 200 and not (method == "GET" and not query)
    )
