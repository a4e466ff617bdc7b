"""The table: models with their keys, batches and queries by subject. The only user of PynamoDB."""
