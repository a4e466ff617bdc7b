"""Sending: from a validated request to a recorded outcome. One module per entry point."""
