"""Skycore's postbacks: from the body of a request to the events that subscribers read."""
