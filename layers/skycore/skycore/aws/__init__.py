"""Secrets, queues, the topic and the bucket: AWS clients, made when first needed."""
