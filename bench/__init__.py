"""What users pay for and wait for, measured against floors of the same run: make bench."""
