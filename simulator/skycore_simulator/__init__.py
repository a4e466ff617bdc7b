"""A simulator of Skycore's Messaging API (XML, v1.3) for local development and tests.

It answers requests as Skycore does, sends the postbacks that follow, and fails on request. It is
written from the protocol alone and shares no code with any client, so that client and simulator
check each other. The README describes how to use it.
"""

__version__ = "1.0.0"
