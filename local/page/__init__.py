"""The web page at the simulator's address: the local stack to watch and to play with."""
