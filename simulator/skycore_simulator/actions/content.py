"""Stored MMS templates."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from skycore_simulator import checks, slides
from skycore_simulator.notifications import Notification
from skycore_simulator.replies import Element, RefusalError, success
from skycore_simulator.request_parser import Call
from skycore_simulator.state import Template

if TYPE_CHECKING:
    from skycore_simulator.simulator import Simulator

_FAILURES = ("E002", "E003", "E004")
_FALLBACK = ("FALLBACKSMSTEXT", "DISABLEFALLBACKSMS", "DISABLEFALLBACKSMSLINK")


def store_template(simulator: "Simulator", call: Call, quiet: bool = False) -> Template:
    """Keeps the slides of a call under a new MMSID; quiet: usable at once, without N003."""
    template = Template(
        id=simulator.state.new_id(),
        name=call.get("NAME"),
        subject=call.get("SUBJECT"),
        slides=call.fields["SLIDE"],
        fallback={name: call.get(name) for name in _FALLBACK if call.get(name)},
    )
    simulator.state.templates[template.id] = template
    if not quiet:
        _encode(simulator, call, template)
    return template


def save_mms(simulator: "Simulator", call: Call) -> list[Element]:
    """saveMMS: the template is locked (E626) until N003 when it has audio or video."""
    echoed = checks.echo(call)
    slides.check(call.fields["SLIDE"], echoed)
    if len(call.get("SUBJECT")) > checks.MAX_SUBJECT_LENGTH:
        raise RefusalError("E229", echo=echoed)
    return success(("MMSID", store_template(simulator, call).id))


def _encode(simulator: "Simulator", call: Call, template: Template) -> None:
    wait = simulator.settings.encode_seconds if slides.needs_encoding(template.slides) else 0.0
    asked = {value.strip().upper().removeprefix("SKYCORE-OUTCOME-") for value in call.values()}
    code = next((failure for failure in _FAILURES if failure in asked), "N003")
    files = {
        f"{kind}NAME": next((s[kind] for s in template.slides if s.get(kind)), None)
        for kind in ("AUDIO", "VIDEO")
    }
    template.ruined = code in ("E002", "E003")
    template.ready_at = time.monotonic() + wait
    facts = {"MMSID": template.id, **files}
    simulator.notify(Notification("mms_encode", code, facts), after=wait)


def get_mms_ids(simulator: "Simulator", _call: Call) -> list[Element]:
    """getMmsIds: E200 when there are none."""
    if not simulator.state.templates:
        raise RefusalError("E200")
    return success(("MMSIDS", ",".join(simulator.state.templates)))


def get_mms_templates(simulator: "Simulator", call: Call) -> list[Element]:
    """getMMSTemplates: newest first, by pages of 100."""
    page = _whole(call.get("PAGE_NUMBER") or "1", "E212")
    size = _whole(call.get("ITEMS_PER_PAGE") or "100", "E213")
    since = _start(call.get("START_DATE"))
    newest = [t for t in reversed(simulator.state.templates.values()) if t.created >= since]
    shown = newest[(page - 1) * size : page * size]
    return success(
        ("START_DATE", call.get("START_DATE")),
        ("PAGE_NUMBER", str(page)),
        ("ITEMS_PER_PAGE", str(size)),
        ("TOTAL_RESULTS", str(len(newest))),
        *(("MMS_TEMPLATE", _described(simulator, template)) for template in shown),
    )


def _described(simulator: "Simulator", template: Template) -> list[Element]:
    created = datetime.fromtimestamp(template.created, UTC).isoformat(timespec="seconds")
    return [
        ("MMSID", template.id),
        ("MMSNAME", template.name),
        ("MMSSUBJECT", template.subject),
        ("DATECREATED", created),
        ("TOTALSLIDES", str(len(template.slides))),
        ("MMSSIZE", str(sum(len(str(slide)) for slide in template.slides))),
        ("POSTER", f"{simulator.base_url}media/{template.id}/poster.png"),
    ]


def _whole(value: str, code: str) -> int:
    if not (value.isascii() and value.isdigit()) or not 1 <= int(value) <= 10**6:
        raise RefusalError(code)
    return int(value)


def _start(value: str) -> float:
    if not value:
        return 0.0
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise RefusalError("E214") from error
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def delete_mms(simulator: "Simulator", call: Call) -> list[Element]:
    """deleteMMSID: E241 when there is none, the second time too."""
    number = call.get("MMSID")
    if simulator.state.templates.pop(number, None) is None:
        raise RefusalError("E241", echo=checks.echo(call))
    return success(("MMSID", number))


HANDLERS = {
    "saveMMS": save_mms,
    "getMmsIds": get_mms_ids,
    "getMMSTemplates": get_mms_templates,
    "deleteMMSID": delete_mms,
}
