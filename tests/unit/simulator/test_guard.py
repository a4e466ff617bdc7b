"""Other web sites in the same browser get nothing and change nothing."""

import pytest

from tests.unit.simulator.harness import Skycore

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
def test_who_may_use_the_control_api(skycore: Skycore, method, headers, status) -> None:
    host = f"127.0.0.1:{skycore.server.port}"
    answer = skycore.session.request(
        method,
        f"{skycore.server.url}_control/settings",
        json={} if method == "PATCH" else None,
        headers={name: value.format(host=host) for name, value in headers.items()},
    )
    assert answer.status_code == status
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_api_itself_is_open_to_any_name(skycore: Skycore) -> None:
    answer = skycore.session.get(skycore.url, headers={"Host": "sms.example"})
    assert answer.status_code == 200
