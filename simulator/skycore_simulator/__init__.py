"""A stand-in for Skycore's Messaging API (XML, v1.3) that runs on this computer.

It answers requests as Skycore does, sends the same postbacks, and lets a test decide what goes
wrong. It is written from the protocol alone and shares no code with the product, so that the two
check each other. README.md in this folder tells how to use it.
"""
