"""XML bodies, by defusedxml: no document type, no entity, nothing fetched."""

import re
from itertools import batched

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from skycore.postbacks.document import (
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_ELEMENTS,
    Node,
    UnreadableError,
)
from skycore.postbacks.xml_repair import close_leaves, mend_characters

_ANOTHER = re.compile(
    rb"<(?:\?xml|(?:[a-z_][\w.-]{0,40}:)?(?:postback|notification))", re.IGNORECASE
)


class _Builder:
    """Makes nodes within the bounds. Expat calls `start` and `end` itself, see `_document`."""

    def __init__(self, elements: int) -> None:
        self.root: Node | None = None
        self.open: list[Node] = []
        self.elements = elements  # of this document and those before it

    def start(self, tag: str, attributes: list[str]) -> None:
        """Open an element; `attributes` are names and values in turn."""
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise UnreadableError(f"more than {MAX_ELEMENTS} elements")
        node = Node(tag.rpartition("}")[2])
        if attributes:
            if len(attributes) > 2 * MAX_ATTRIBUTES:
                raise UnreadableError(f"an element with more than {MAX_ATTRIBUTES} attributes")
            pairs = batched(attributes, 2, strict=True)
            node.attributes = {name: text for name, text in pairs if "}" not in name}
        if self.open:
            if len(self.open) >= MAX_DEPTH:
                raise UnreadableError(f"elements nested deeper than {MAX_DEPTH}")
            self.open[-1].children.append(node)
        else:
            self.root = node
        self.open.append(node)

    def end(self, _tag: str) -> None:
        """Close the element that was opened last."""
        self.open.pop()

    def data(self, text: str) -> None:
        """Add text where it stands: in the element or behind its last child."""
        node = self.open[-1]
        if node.children:
            node.children[-1].tail += text
        else:
            node.text += text

    def close(self) -> None:
        """End of the document, called by the parser."""


def _document(source: bytes, elements: int) -> tuple[Node, bytes, int]:
    """One document read strictly, what follows it, and the count of elements so far."""
    builder = _Builder(elements)
    parser = DefusedXMLParser(target=builder, encoding="utf-8", forbid_dtd=True)
    expat = parser.parser
    # Without ElementTree's own two functions between, a fifth of reading a receipt. Names then
    # come as `namespace}name`; what defusedxml forbids stays forbidden, in handlers of its own.
    expat.StartElementHandler = builder.start
    expat.EndElementHandler = builder.end
    rest = b""
    try:
        parser.feed(source)
        parser.close()
    except ParseError:
        if builder.root is None or builder.open:
            raise
        rest = source[expat.ErrorByteIndex :]  # something after the end of the document
    except DefusedXmlException:
        raise UnreadableError("a document type or an entity is declared") from None
    if builder.root is None:
        raise UnreadableError("XML without an element")
    return builder.root, rest, builder.elements


def _documents(source: bytes) -> list[Node]:
    """Every notification's document in the body, which usually is one; junk between is dropped."""
    roots: list[Node] = []
    elements = 0
    while True:
        root, rest, elements = _document(source, elements)
        roots.append(root)
        another = _ANOTHER.search(rest)
        if another is None:
            return roots
        source = rest[another.start() :]


def read_xml(source: bytes) -> list[Node]:
    """The root elements of an XML body in UTF-8; repaired only when it cannot be read as it is.

    Raises UnreadableError when it cannot be read, or is over a bound.
    """
    try:
        return _documents(source)
    except ParseError as error:
        why = error
    for repair in mend_characters, close_leaves:
        mended = repair(source.decode())
        if mended is None:
            break
        source = mended.encode()
        try:
            return _documents(source)
        except ParseError as error:
            why = error
    reason = re.split("[:&]", str(why))[0].strip()  # without the place and any of the content
    raise UnreadableError(f"XML is not well-formed: {reason}") from None
