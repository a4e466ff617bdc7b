"""The table: models, keys, batches and queries by subject. The only user of PynamoDB."""
