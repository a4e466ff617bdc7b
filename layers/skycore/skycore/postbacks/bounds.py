"""How much one body may ask of us. What is over a bound is kept as unparsed."""

MAX_BODY_BYTES = 256 * 1024
"""The most that the intake takes from Skycore."""

MAX_LAYERS = 6
"""Wrappings (form field, percent encoding, HTML escapes...) around the document itself."""

MAX_FORM_FIELDS = 200
"""Fields of a form, or parts of a multipart body."""

MAX_DEPTH = 32
"""Elements inside each other. Documented ones reach 6."""

MAX_ELEMENTS = 20_000
"""Elements or JSON members in a body. 300 notifications at once have some 4,500."""

MAX_NOTIFICATIONS = 500
"""Notifications in a body; each one costs writes. Skycore documents 300."""

MAX_ATTRIBUTES = 32
"""Attributes of one element. Documented ones have 4."""

MAX_NAME_CHARACTERS = 100
"""Length of an unknown element's name in `extra`; longer ones are cut."""


class UnreadableError(Exception):
    """The body cannot be read; the text says why, without any of its content."""
