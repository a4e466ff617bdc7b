"""Names of the elements of a reply."""

import pytest

from skycore.catalogue.actions import all_actions
from skycore.catalogue.fields import _by_element, reply_field


@pytest.mark.parametrize(
    ("xml", "name", "shape"),
    [
        ("TRACKINGID", "tracking_id", "text"),
        ("tracking-id", "tracking_id", "text"),
        ("MMSIDS", "mms_ids", "list"),
        ("EMAILCAMPAIGNS", "campaigns", "groups"),
        ("SUBSCRIBER", "subscribers", "group"),
        ("TOTAL_RESULTS", "total_results", "int"),
        ("EMAILHTML", "email_html", "markup"),
        ("PRIMARYLABEL2", "primary_label2", "text"),
    ],
)
def test_known(xml: str, name: str, shape: str) -> None:
    field = reply_field(xml)
    assert field is not None
    assert (field.name, field.shape) == (name, shape)


def test_unknown() -> None:
    assert reply_field("POSTER") is None


def test_every_documented_reply_can_be_read() -> None:
    names = {field.name for field in _by_element().values()} | {"link"}  # undocumented element
    for action in all_actions():
        assert set(action.reply) <= names
