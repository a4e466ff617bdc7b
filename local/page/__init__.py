"""What the local stack adds to the simulator's page: the column "Your side"."""
