import pytest

from skycore.postbacks.xml_repair import close_leaves, repair_characters, resolve_references


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("AT&T & co", "AT&amp;T &amp; co"),
        ("&amp; &lt; &#39; &#x1F600; &quot;", "&amp; &lt; &#39; &#x1F600; &quot;"),
        ("&nbsp; &lol; &#; &#xZ;", "&amp;nbsp; &amp;lol; &amp;#; &amp;#xZ;"),
        ("?a=1&b=2&lt=3", "?a=1&amp;b=2&amp;lt=3"),
        ("I <3 you", "I &lt;3 you"),
        ("&#xD83D;&#xDE00; &#55357;&#56832;", "😀 😀"),
        ("&#xD83D; &#1; &#xFFFF; &#x110000;", "� � � �"),
        ("&#10; &#65;", "&#10; &#65;"),
        ("x & <![CDATA[y & <z>]]> <!-- & -->", "x &amp; <![CDATA[y & <z>]]> <!-- & -->"),
        ("1 < 2 \x01", "1 &lt; 2 \ufffd"),
        ('<B id="1"created="2"/>', '<B id="1" created="2"/>'),
        ('<B id=\'a"b\'created="2" x=\'1\' y="z"/>', '<B id=\'a"b\' created="2" x=\'1\' y="z"/>'),
        ('<B a="1 & 2"/>', '<B a="1 &amp; 2"/>'),
        ('<sk:TO xsi:a="b:c=\'d\'" id="1"/>', '<TO  id="1"/>'),
        ("<?xml version=1.0?>", ""),
    ],
)
def test_characters(before: str, after: str) -> None:
    assert repair_characters(f"<A>{before}</A>") == f"<A>{after}</A>"


@pytest.mark.parametrize(
    "text",
    ["<A><!-- ", "<A><![CDATA[x</A>", "<A><? x</A>", "<!DOCTYPE a><A/>", "<A><b</A>", "<A></ A>"],
)
def test_characters_in_doubt(text: str) -> None:
    assert repair_characters(text) is None


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("a &amp;&lt;&gt;&quot;&apos; b", "a &<>\"' b"),
        ("&#65;&#x42; &#x1F600; &#xD83D;&#xDE00;", "AB 😀 😀"),
        ("&nbsp; &lol; & &#; &amp;lt;", "&nbsp; &lol; & &#; &lt;"),
        ("&#0; &#xD83D; &#x110000; &#9999999;", "� � � �"),
    ],
)
def test_references_of_a_text(text: str, resolved: str) -> None:
    assert resolve_references(text) == resolved


@pytest.mark.parametrize(
    ("inside", "mended"),
    [
        pytest.param(
            "<FROM_MASK><FROM_MASK> <TO>1</TO>",
            "<FROM_MASK></FROM_MASK> <TO>1</TO>",
            id="slash forgotten",
        ),
        pytest.param(
            "<FROM_MASK>A<FROM_MASK><TO>1</TO>",
            "<FROM_MASK>A</FROM_MASK><TO>1</TO>",
            id="slash forgotten behind a value",
        ),
        pytest.param(
            "<TO>1</TO><FROM_MASK><FROM_MASK>",
            "<TO>1</TO><FROM_MASK></FROM_MASK>",
            id="slash forgotten at the end",
        ),
        pytest.param("<OS><OS>x</OS>", "<OS>x</OS>", id="opened twice"),
        pytest.param("<OS>x <TO>1</TO>", "<OS>x </OS><TO>1</TO>", id="ends at the next field"),
        pytest.param("<OS><TO>1</TO>", "<OS></OS><TO>1</TO>", id="empty, ends at the next field"),
        pytest.param("<TO>1</TO><OS>x", "<TO>1</TO><OS>x</OS>", id="ends with its container"),
        pytest.param("<OS>x<TO>1<SPID>2", "<OS>x</OS><TO>1</TO><SPID>2</SPID>", id="several"),
        pytest.param("<OS>x<OS/>", "<OS>x</OS>", id="slash at the wrong end"),
        pytest.param(
            "<tracking-id>x<mms-id>1</mms-id>",
            "<tracking-id>x</tracking-id><mms-id>1</mms-id>",
            id="hyphenated",
        ),
        pytest.param(
            "<OS>x<CONTENT><FILE>u</CONTENT>",
            "<OS>x</OS><CONTENT><FILE>u</FILE></CONTENT>",
            id="before and inside a group",
        ),
        pytest.param("<NEW>x<TO>1</TO>", "<NEW>x</NEW><TO>1</TO>", id="unknown element with text"),
        pytest.param("<TO>1</to>", "<TO>1</TO>", id="other letter case"),
        pytest.param("<TO>1</TO>", "<TO>1</TO>", id="nothing to mend"),
        pytest.param("<TO>1</FROM>", None, id="in doubt: crossed"),
        pytest.param("<TO>1<OS>x</TO></OS>", None, id="in doubt: overlapping"),
        pytest.param("<OS>x<OS>y</OS>", None, id="in doubt: two values"),
        pytest.param("<OS><OS>y<TO>1</TO>", None, id="in doubt: value behind the second tag"),
        pytest.param("<TEXT>a <b>c<TO>1</TO>", None, id="in doubt: markup in a text"),
        pytest.param("<TEXT>Hi <TO> me</TEXT>", None, id="in doubt: a field's name in a text"),
        pytest.param("<NEW><TO>1</TO>", None, id="in doubt: unknown group"),
        pytest.param("<CONTENT><FILE>u</FILE>", None, id="in doubt: group left open"),
        pytest.param("</TO><TO>1</TO>", None, id="in doubt: closed before it is opened"),
        pytest.param("<OS>x/OS><TO>1</TO>", None, id="in doubt: a damaged close tag"),
        pytest.param("<OS>x/OS<TO>1</TO>", None, id="in doubt: a close tag without brackets"),
        pytest.param("<OS>x&lt;<TO>1</TO>", None, id="in doubt: an escaped bracket"),
        pytest.param("<OS>x<!-- y --><TO>1</TO>", None, id="in doubt: a comment"),
        pytest.param("<TEXT>STOP<TO>1</TO>", None, id="in doubt: a person's text left open"),
    ],
)
def test_close_leaves(inside: str, mended: str | None) -> None:
    expected = None if mended is None else f"<POSTBACK>{mended}</POSTBACK>"
    assert close_leaves(f"<POSTBACK>{inside}</POSTBACK>") == expected


@pytest.mark.parametrize("text", ["<POSTBACK><TO>1</TO>", "<POSTBACK><TO>1", "<POSTBACK>"])
def test_a_body_that_breaks_off_is_not_mended(text: str) -> None:
    assert close_leaves(text) is None
