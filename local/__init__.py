"""The local stack: an AWS emulator, a Skycore simulator, and the demo that runs on them."""
