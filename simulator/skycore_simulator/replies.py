"""Replies of the API: Success with its elements, or Failure with ERRORCODE and ERRORINFO."""

from xml.sax.saxutils import escape

from skycore_simulator.tables import error_info

type Element = tuple[str, str | list[Element]]


class Raw(str):
    """Text that is inserted into the reply unescaped, markup and bare ampersands included."""

    __slots__ = ()


class RefusalError(Exception):
    """Skycore refuses the request: the code, the X in its text, and the elements to echo."""

    def __init__(
        self, code: str, place: int | str | None = None, echo: list[Element] | None = None
    ) -> None:
        super().__init__(code)
        self.code = code
        self.place = place
        self.echo = echo or []


def success(*elements: Element) -> list[Element]:
    """Return a Success with these elements."""
    return [("STATUS", "Success"), *elements]


def failure(code: str, place: int | str | None = None) -> list[Element]:
    """Return the elements of a Failure, which groups such as SUBSCRIBER contain too."""
    return [
        ("STATUS", "Failure"),
        ("ERRORCODE", code),
        ("ERRORINFO", error_info(code, place)),
    ]


def refused(refusal: RefusalError) -> list[Element]:
    """Return the reply to a refused request."""
    return [*failure(refusal.code, refusal.place), *refusal.echo]


def render(root: str, elements: list[Element], declaration: bool = True) -> str:
    """Return the elements as an XML document."""
    head = "<?xml version='1.0'?>\n" if declaration else ""
    return f"{head}<{root}>\n{_inside(elements, '  ')}</{root}>\n"


def _inside(elements: list[Element], indent: str) -> str:
    lines = []
    for name, value in elements:
        if isinstance(value, list):
            lines.append(f"{indent}<{name}>\n{_inside(value, indent + '  ')}{indent}</{name}>\n")
        elif isinstance(value, Raw):
            lines.append(f"{indent}<{name}>{value}</{name}>\n")
        else:
            lines.append(f"{indent}<{name}>{escape_text(value)}</{name}>\n")
    return "".join(lines)


def escape_text(value: str) -> str:
    """Return a value as XML text, with carriage returns as references so that they survive."""
    return escape(value, {"\r": "&#13;"})
