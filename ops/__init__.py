"""What an operator does to a deployed stack, with an AWS login of their own."""
