import json

import pytest

from skycore.postbacks.document import UnreadableError
from skycore.postbacks.json_document import read_json, repair_json


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        pytest.param("{“code”: “N202”}", {"code": "N202"}, id="typographic"),
        pytest.param('{"code”: "N202“, “a": "b"}', {"code": "N202", "a": "b"}, id="mixed"),
        pytest.param('{„code“: "a “b” c"}', {"code": "a “b” c"}, id="quotation in a text"),
        pytest.param('{“a”: "say \\"hi\\" ”"}', {"a": 'say "hi" ”'}, id="escapes"),
        pytest.param('{"a": "1" "b": 2\n"c": {} "d": [3] "e": null "f": "x"}',
                     {"a": "1", "b": 2, "c": {}, "d": [3], "e": None, "f": "x"}, id="commas"),
        pytest.param('["a" "b"]', None, id="in doubt: list without a comma"),
        pytest.param('{"a": “x”, y”}', None, id="in doubt: quote inside"),
        pytest.param('{"a": "x"', None, id="breaks off"),
        pytest.param('{"a": "x', None, id="breaks off in a string"),
        pytest.param("{'a': 'x'}", None, id="other quotes"),
        pytest.param('{"a": "x",}', None, id="trailing comma"),
        pytest.param('{"a": "x," "b": "y"}', None, id="in doubt: comma inside the quotes"),
    ],
)  # fmt: skip
def test_repair_json(text: str, meant: object) -> None:
    mended = repair_json(text)
    if meant is None:
        assert mended is None or not _is_json(mended)
    else:
        assert mended is not None
        assert json.loads(mended) == meant


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_values_keep_their_spelling() -> None:
    (node,) = read_json(
        '{"a": 0.10, "b": 17743199144, "c": true, "d": null, "e": NaN, "f": "x\ny"}'
    )
    assert [child.text for child in node.children] == [
        "0.10",
        "17743199144",
        "true",
        "",
        "NaN",
        "x\ny",
    ]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('{"a":1}{"a":2}\n{"a":3}', 3),
        ('[{"a":1},{"a":2}]', 2),
        ('{"a":1},\n{"a":2}', 2),
        ('{"a":1}\x00 junk', 1),
        ('{"a":1}=', 1),
    ],
)
def test_several_objects(text: str, count: int) -> None:
    assert len(read_json(text)) == count


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"a":1}{"a":',
        '{"a":1}, "b":2}',
        '{"a":1} "b":2}',
        '{"a":1}}',
        "[" * 33 + "]" * 33,
        "[" * 100_000,
        '{"a":' * 40 + "1" + "}" * 40,
        "[" + "1," * 20_000 + "1]",
    ],
    ids=lambda text: text[:12],
)
def test_not_readable(text: str) -> None:
    with pytest.raises(UnreadableError):
        read_json(text)


def test_nested_json_as_text() -> None:
    (node,) = read_json('{"a": {"b": ["1", {"c": "é"}], "d": []}}')
    assert node.children[0].inner() == '{"b":["1",{"c":"é"}]}'
