"""Receiving: from a postback to a published event.

Entry points: `ack`, `store`, `publish`, `republish` and `reconcile`. `receipts` is below them.
"""
