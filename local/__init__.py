"""The local stack: an AWS emulator, a Skycore simulator, and the journey through them."""
