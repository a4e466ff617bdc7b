"""Replies of the API: Success with its elements, or Failure with ERRORCODE and ERRORINFO."""

from xml.sax.saxutils import escape

from local.simulator.catalogue import error_info

type Element = tuple[str, str | list[Element]]


class Raw(str):
    """Text that goes into the reply as it is, markup and bare ampersands included."""

    __slots__ = ()


class RefusalError(Exception):
    """Skycore refuses the request: code, the X of its text, and elements that are echoed."""

    def __init__(
        self, code: str, place: int | str | None = None, echo: list[Element] | None = None
    ) -> None:
        super().__init__(code)
        self.code = code
        self.place = place
        self.echo = echo or []


def success(*elements: Element) -> list[Element]:
    """The elements below STATUS Success."""
    return [("STATUS", "Success"), *elements]


def failure(code: str, place: int | str | None = None) -> list[Element]:
    """The elements of a Failure, which also stand inside groups such as SUBSCRIBER."""
    return [
        ("STATUS", "Failure"),
        ("ERRORCODE", code),
        ("ERRORINFO", error_info(code, place)),
    ]


def refused(refusal: RefusalError) -> list[Element]:
    """The reply to a refused request."""
    return [*failure(refusal.code, refusal.place), *refusal.echo]


def render(root: str, elements: list[Element], declaration: bool = True) -> str:
    """The elements as one XML document."""
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
            lines.append(f"{indent}<{name}>{text(value)}</{name}>\n")
    return "".join(lines)


def text(value: str) -> str:
    """A value as XML text; a carriage return would not survive unless written as a reference."""
    return escape(value, {"\r": "&#13;"})
