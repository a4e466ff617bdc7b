"""Passes for phone wallets: templates, stored data, generated passes."""

from skycore_simulator import checks, pass_data
from skycore_simulator.notifications import Notification
from skycore_simulator.replies import Element, Raw, RefusalError, success
from skycore_simulator.request_parser import Call
from skycore_simulator.simulator import Simulator
from skycore_simulator.state import PassData, random_text

_OUTCOMES = ("N802", "N803", "N811")


def read_pass_data(simulator: Simulator, call: Call, template_id: str) -> PassData:
    """Stores the PASSDATA of a call for a template: E802 and the codes of pass_data.check."""
    echoed = checks.echo(call)
    template = simulator.state.pass_templates.get(template_id)
    if template is None:
        raise RefusalError("E802", echo=echoed)
    values = call.fields.get("PASSDATA", {})
    pass_data.check(template, values, echoed)
    data = PassData(random_text(40, "0123456789abcdef"), template_id, dict(values))
    simulator.state.pass_data[data.id] = data
    return data


def generate(
    simulator: Simulator, call: Call, data: PassData, referenced_by: tuple[str, str] | None = None
) -> list[Element]:
    """Generates a pass and sends its postback, N801 unless a magic value asks for another."""
    serial = random_text(24, "0123456789abcdef")
    asked = {value.strip().upper().removeprefix("SKYCORE-OUTCOME-") for value in call.values()}
    code = next((each for each in _OUTCOMES if each in asked), "N801")
    by, value = referenced_by or _reference(data)
    facts = {
        "REFERENCEDBY": by,
        "REFERENCEVALUE": value,
        "CUSTOMPASSID": data.values.get("CUSTOMPASSID", ""),
        "PASSDATAID": data.id,
        "SERIALNUMBER": serial,
        "PASSTEMPLATEID": data.template,
    }
    simulator.notify(Notification("pass", code, facts))
    link = f"{simulator.base_url}pass/{serial}"
    return success(
        ("PASSDATAID", data.id),
        ("SERIALNUMBER", serial),
        ("CUSTOMPASSID", data.values.get("CUSTOMPASSID", "")),
        ("PASSLINK", link),
        ("DOWNLOADURL", Raw(f"{link}?id={data.id}&type=pkpass")),  # a bare ampersand, as Skycore
    )


def _reference(data: PassData) -> tuple[str | None, str | None]:
    for name, label in (("EMAIL", "Email"), ("PHONE", "Phone"), ("CUSTOMID", "CustomID")):
        if data.values.get(name):
            return label, data.values[name]
    return None, None


def _known(simulator: Simulator, call: Call) -> PassData:
    data = simulator.state.pass_data.get(call.get("PASSDATAID"))
    if data is None:
        raise RefusalError("E808")
    return data


def get_pass_template(simulator: Simulator, call: Call) -> list[Element]:
    """By exactly one of three ids: E827 none, E828 more."""
    state = simulator.state
    given = [name for name in ("PASSTEMPLATEID", "MMSID", "EMAILID") if call.get(name)]
    if len(given) != 1:
        raise RefusalError("E828" if given else "E827")
    wanted: str | None = call.get(given[0])
    if given == ["MMSID"]:
        wanted = checks.template(call, state).pass_template
        if wanted is None:
            raise RefusalError("E822")
    if given == ["EMAILID"]:
        email = state.email_templates.get(call.get("EMAILID"))
        if email is None:
            raise RefusalError("E402")
        wanted = email.get("pass_template")
        if wanted is None:
            raise RefusalError("E823")
    template = state.pass_templates.get(wanted or "")
    if template is None:
        raise RefusalError("E802")
    described: list[Element] = [
        ("PASSNAME", template["name"]),
        ("PASSTYPE", template["type"]),
        ("ORGANIZATION", template["organization"]),
        ("DESCRIPTION", template["description"]),
        ("BARCODEVALUE", ""),
        ("BARCODETEXT", ""),
        ("HEADERFIELDS", "1"),
        ("HEADERLABEL1", "Valid until"),
        ("HEADERVALUE1", "2030-12-31"),
        *((f"{name}FIELDS", "0") for name in ("PRIMARY", "SEC", "AUX", "BACK")),
    ]
    return success(("PASSTEMPLATEID", template["id"]), ("PASSTEMPLATE", described))


def get_pass_template_ids(simulator: Simulator, _call: Call) -> list[Element]:
    """getPassTemplateIds: E800 when there are none."""
    if not simulator.state.pass_templates:
        raise RefusalError("E800")
    return success(("PASSTEMPLATEIDS", ",".join(simulator.state.pass_templates)))


def add_pass_data(simulator: Simulator, call: Call) -> list[Element]:
    data = read_pass_data(simulator, call, call.get("PASSTEMPLATEID"))
    return success(("PASSDATAID", data.id), ("PASSTEMPLATEID", data.template))


def update_pass(simulator: Simulator, call: Call) -> list[Element]:
    """updatePass: EMAIL, PHONE and the ids of the pass stay as they were."""
    data = _known(simulator, call)
    fixed = ("EMAIL", "PHONE", "CUSTOMID", "CUSTOMDATAID", "CUSTOMPASSID")
    changes = {k: v for k, v in call.fields["PASSDATA"].items() if k not in fixed}
    template = dict(simulator.state.pass_templates[data.template])
    template.update(barcode_required=False, personalised=False)
    pass_data.check(template, changes, [])
    data.values.update(changes)
    return success(("PASSDATAID", data.id), ("UPDATESTATUSID", simulator.state.new_id()))


def delete_pass_data(simulator: Simulator, call: Call) -> list[Element]:
    """deletePassData: E808 the second time."""
    del simulator.state.pass_data[_known(simulator, call).id]
    return success()


def generate_pass_by_id(simulator: Simulator, call: Call) -> list[Element]:
    return generate(simulator, call, _known(simulator, call))


def generate_pass(simulator: Simulator, call: Call) -> list[Element]:
    return generate(simulator, call, read_pass_data(simulator, call, call.get("PASSTEMPLATEID")))


HANDLERS = {
    "getPassTemplate": get_pass_template,
    "getPassTemplateIds": get_pass_template_ids,
    "addPassData": add_pass_data,
    "updatePass": update_pass,
    "deletePassData": delete_pass_data,
    "generatePassById": generate_pass_by_id,
    "generatePass": generate_pass,
}
