"""Sub-users and sessions."""

from skycore_simulator.replies import Element, RefusalError, success
from skycore_simulator.request_parser import Call
from skycore_simulator.simulator import Simulator
from skycore_simulator.state import md5_hex, random_text


def create_user(simulator: Simulator, call: Call) -> list[Element]:
    """createUser: E151 when the name is taken. The new key works at once."""
    name = call.get("NEWUSER")
    if name in simulator.state.users or name == simulator.settings.user:
        raise RefusalError("E151")
    digest = md5_hex(call.get("NEWPASS"))
    api_key = random_text(32)
    simulator.state.users[name] = (digest, api_key)
    return success(("USERNAME", name), ("PASSWORD", digest), ("API_KEY", api_key))


def login_user(_simulator: Simulator, _call: Call) -> list[Element]:
    return success(("SESSIONID", random_text(26, "0123456789abcdefghijklmnopqrstuvwxyz")))


HANDLERS = {"createUser": create_user, "loginUser": login_user}
