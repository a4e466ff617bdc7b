"""Secrets, queues and the topic: AWS clients, made when first needed."""
