"""Receiving: from a postback to a published event. One module per entry point."""
