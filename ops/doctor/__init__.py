"""`doctor`: check on the deployed stack what no local run can show."""
