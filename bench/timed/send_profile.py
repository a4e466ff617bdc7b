"""Where the CPU of a send goes, by cProfile, as parts of the whole. Not how much it is."""

import cProfile
import json
import pstats
import time

import app

from bench.timed.clock import sample

PARTS = {
    "the five calls of DynamoDB": ("pynamodb/connection/base.py", "dispatch"),
    "the call of Skycore": ("skycore/client/client.py", "call"),
    "log lines": ("logging/__init__.py", "_log"),
    "metrics": ("skycore/metrics.py", "flush"),
}
event = sample("send/sms.json")
profile = cProfile.Profile(time.process_time)
for _ in range(15):
    app.handler(event, None)
for _ in range(150):
    profile.runcall(app.handler, event, None)
stats = pstats.Stats(profile)
spent = {
    (file, function): cumulative
    for (file, _, function), (_, _, _, cumulative, _) in stats.stats.items()  # type: ignore[attr-defined]
}
parts = {
    name: sum(
        seconds
        for (path, named), seconds in spent.items()
        if path.endswith(file) and named == function
    )
    for name, (file, function) in PARTS.items()
}
whole = stats.total_tt  # type: ignore[attr-defined]
print(json.dumps({name: part / whole for name, part in parts.items()}))
