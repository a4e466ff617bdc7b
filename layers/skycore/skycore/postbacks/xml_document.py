"""XML bodies: people's texts set apart, then one strict reading, then the repairs that are certain.

TEXT, SUBJECT and KEYWORD hold what strangers write, and Skycore may not escape it. So each runs
from its first opening to its last closing tag, and nothing in it is markup. The rest is Skycore's
own. It is read by defusedxml: no document type, no entity, nothing is fetched.
"""

import re
from itertools import pairwise

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from skycore.catalogue.fields import plain_name
from skycore.postbacks.document import (
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_DOCUMENTS,
    MAX_ELEMENTS,
    WRITTEN_BY_PEOPLE,
    Node,
    UnreadableError,
    refuse_uncertain,
)
from skycore.postbacks.xml_repair import close_leaves, repair_characters, resolve_references

_PREFIX = r"(?:[a-z_][\w.-]{0,40}:)?"  # of a namespace, such as `sky:`
_DOCUMENT = re.compile(rf"<(?:\?xml|{_PREFIX}(?:postback|notification)s?(?=[\s/>]))", re.IGNORECASE)
_CODE_TAG = re.compile(rf"<{_PREFIX}(?:status)?[-_]?code[\s/>]", re.IGNORECASE)
_DECLARATION = re.compile("<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
DECLARED = "a document type or an entity is declared"


def read_xml(source: str) -> list[Node]:
    """Return the root elements of an XML body.

    Raises UnreadableError when the body cannot be read with certainty, or is over a bound.
    """
    return read_markup(set_texts_apart(_without_junk_before(source)))


def read_markup(source: str) -> list[Node]:
    """Return the root elements of XML in which every `<` is markup; raises as `read_xml`."""
    try:
        return _documents(source)
    except ParseError as error:
        why = error
    for repair in repair_characters, close_leaves:
        repaired = repair(source)
        if repaired is None:
            break
        source = repaired
        try:
            roots = _documents(source)
        except ParseError as error:
            why = error
            continue
        refuse_uncertain(roots)
        return roots
    reason = re.split("[:&]", str(why))[0].strip()  # without the place and any of the content
    raise UnreadableError(f"XML is not well-formed: {reason}")


_SECTION = re.compile(r"<!--|<!\[CDATA\[")


def without_comments(text: str) -> str:
    """Return the text without its closed comments; CDATA sections stay as they are."""
    parts, place = [], 0
    for section in _SECTION.finditer(text):
        if section.start() < place:
            continue
        closing = "-->" if section[0] == "<!--" else "]]>"
        end = text.find(closing, section.end())
        if end < 0:
            break
        if closing == "-->":
            parts.append(text[place : section.start()])
        else:
            parts.append(text[place : end + len(closing)])
        place = end + len(closing)
    return "".join([*parts, text[place:]])


def _without_junk_before(source: str) -> str:
    """Return the source from its first document on; a warning in HTML may precede it."""
    document = _DOCUMENT.search(source)
    if document is None or document.start() == 0:
        return source
    if _DECLARATION.search(source, 0, document.start()):
        raise UnreadableError(DECLARED)
    inside = _TEXT_TAG.search(source, 0, document.start()) or _CODE_TAG.search(
        source, 0, document.start()
    )
    return source if inside else source[document.start() :]


# --- People's texts ---------------------------------------------------------------------------

_NAMES = "|".join("[-_]*".join(name) for name in sorted(WRITTEN_BY_PEOPLE))
_TEXT_TAG = re.compile(
    rf"""<(/?){_PREFIX}({_NAMES})(?=[\s/>])((?>[^<>"']|"[^"<]*"|'[^'<]*')*+)>""",
    re.IGNORECASE,
)
_NOTIFICATION = re.compile(rf"<{_PREFIX}notification[\s>]", re.IGNORECASE)
_NEXT_NOTIFICATION = re.compile(
    rf"</{_PREFIX}notification\s*>\s*(?={_NOTIFICATION.pattern})", re.IGNORECASE
)
_DOCUMENT_END = re.compile(rf"</{_PREFIX}postbacks?\s*>", re.IGNORECASE)
_NOTIFICATION_END = re.compile(rf"</{_PREFIX}(?:postback|notification)s?\s*>", re.IGNORECASE)


def set_texts_apart(source: str) -> str:
    """Return the source with people's texts escaped, so that nothing in them is markup.

    A POSTBACK of several NOTIFICATIONs has the texts of each. Raises UnreadableError when the
    texts of two fields overlap, or when a text ends one document and begins another: either the
    body has several documents, or a stranger's text makes it look so.
    """
    first = _TEXT_TAG.search(source)
    if first is None:
        return source
    if not _NOTIFICATION.search(source, 0, first.start()):
        return _escaped_texts(source, _DOCUMENT_END)
    starts = [following.end() for following in _NEXT_NOTIFICATION.finditer(source)]
    return "".join(
        _escaped_texts(source[start:end], _NOTIFICATION_END)
        for start, end in pairwise([0, *starts, len(source)])
    )


def _escaped_texts(source: str, ends_document: re.Pattern[str]) -> str:
    """Escape the texts in the source, each from its first opening to its last closing tag."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for tag in _TEXT_TAG.finditer(source):
        closing, element, attributes = tag.groups()
        name = plain_name(element)
        if closing:
            last[name] = tag.start()
        elif not attributes.endswith("/"):
            first.setdefault(name, tag.end())
    parts: list[str] = []
    place = 0
    for start, end in sorted((first[n], last[n]) for n in first if last.get(n, -1) >= first[n]):
        if end < place:
            continue  # inside the text before
        if start < place:
            raise UnreadableError("the texts of two fields overlap")
        document_end = ends_document.search(source, start, end)
        if document_end and _DOCUMENT.search(source, document_end.end(), end):
            raise UnreadableError("a text ends one document and begins another")
        parts += source[place:start], _escaped(source[start:end])
        place = end
    return "".join([*parts, source[place:]])


def _escaped(content: str) -> str:
    text = person_text(content.replace("\r\n", "\n").replace("\r", "\n"))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\r", "&#13;")


def person_text(content: str) -> str:
    """Return what a person wrote, from the content of its element.

    References that XML knows and CDATA sections are resolved, as Skycore may have escaped the
    text so. Everything else stays as it is written, tags and comments too.
    """
    opening, closing = "<![CDATA[", "]]>"
    parts: list[str] = []
    place = 0
    while (start := content.find(opening, place)) >= 0:
        end = content.find(closing, start)
        if end < 0:
            break
        parts += resolve_references(content[place:start]), content[start + len(opening) : end]
        place = end + len(closing)
    rest = content[place:]
    whole = content.strip()
    if rest.strip() and whole.startswith(opening) and whole.endswith(closing):
        return whole[len(opening) : -len(closing)]  # one section around a text that holds `]]>`
    return "".join([*parts, resolve_references(rest)])


# --- The strict reading -----------------------------------------------------------------------


class _Builder:
    """Build nodes within the bounds: a parser target, as ElementTree calls it."""

    def __init__(self, elements: int) -> None:
        self.root: Node | None = None
        self.open: list[Node] = []
        self.texts: list[str] = []  # since the last tag
        self.elements = elements  # of this document and those before it

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Open an element."""
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise UnreadableError(f"more than {MAX_ELEMENTS} elements")
        node = Node(tag.rpartition("}")[2])
        if attributes:
            if len(attributes) > MAX_ATTRIBUTES:
                raise UnreadableError(f"an element with more than {MAX_ATTRIBUTES} attributes")
            node.attributes = {name: text for name, text in attributes.items() if "}" not in name}
        if self.open:
            self._keep_text()
            if len(self.open) >= MAX_DEPTH:
                raise UnreadableError(f"elements nested deeper than {MAX_DEPTH}")
            self.open[-1].children.append(node)
        else:
            self.root = node
        self.open.append(node)

    def end(self, _tag: str) -> None:
        """Close the element that was opened last."""
        self._keep_text()
        self.open.pop()

    def data(self, text: str) -> None:
        """Take a piece of text."""
        self.texts.append(text)

    def _keep_text(self) -> None:
        """Put the text since the last tag where it belongs: in the element or behind a child."""
        node = self.open[-1]
        if node.children:
            node.children[-1].tail = "".join(self.texts)
        else:
            node.text = "".join(self.texts)
        self.texts.clear()

    def close(self) -> None:
        """End of the document, called by the parser."""


def _documents(source: str) -> list[Node]:
    """Return the root of each document in the source, which usually is one; drop junk between."""
    roots: list[Node] = []
    elements = 0
    while True:
        root, rest, elements = _document(source, elements)
        roots.append(root)
        another = _DOCUMENT.search(rest)
        if another is None:
            return roots
        if len(roots) == MAX_DOCUMENTS:
            raise UnreadableError(f"more than {MAX_DOCUMENTS} documents")
        source = rest[another.start() :]


def _document(source: str, elements: int) -> tuple[Node, str, int]:
    """Read one document; return its root, what follows it, and the count of elements so far."""
    builder = _Builder(elements)
    parser = DefusedXMLParser(target=builder, encoding="utf-8", forbid_dtd=True)
    rest = ""
    data = source.encode()
    try:
        parser.feed(data)
        parser.close()
    except ParseError:
        if builder.root is None or builder.open:
            raise
        rest = data[parser.parser.ErrorByteIndex :].decode()  # behind the end of the document
    except DefusedXmlException:
        raise UnreadableError(DECLARED) from None
    if builder.root is None:
        raise UnreadableError("XML without an element")
    return builder.root, rest, builder.elements
