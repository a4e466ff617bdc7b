"""The page at the simulator's address: phones, traffic and faults."""
