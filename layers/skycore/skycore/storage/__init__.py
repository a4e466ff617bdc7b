"""The table: its rows and queries, by subject. The only user of PynamoDB."""
