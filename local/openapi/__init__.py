"""openapi.yaml: the HTTP contract, written from the catalogue of actions and the table of problems.

`python -m local.openapi` writes the file; a test checks that it is up to date.
"""
