"""Run the simulator: python -m skycore_simulator."""

import sys

from skycore_simulator.command_line import main

if __name__ == "__main__":
    sys.exit(main())
