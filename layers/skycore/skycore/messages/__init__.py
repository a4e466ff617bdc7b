"""Sending rules that need no AWS: the ledger's states and ranks, and idempotency."""
