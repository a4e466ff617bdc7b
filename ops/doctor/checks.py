"""The one table of checks, in the order of the answer. A new check is a row of its subject."""

from ops.doctor import account, alarms, api, data, event_sources, functions, probes, queues
from ops.doctor.check import Check

CHECKS: tuple[Check, ...] = (
    *account.CHECKS,
    *data.CHECKS,
    *queues.CHECKS,
    *functions.CHECKS,
    *event_sources.CHECKS,
    *api.CHECKS,
    *alarms.CHECKS,
    *probes.CHECKS,
)
