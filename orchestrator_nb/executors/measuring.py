"""What an attempt takes of its machine, as far as the thread that runs it can tell."""

from __future__ import annotations

import time

from msgspec import Struct, structs

from orchestrator_nb.commands.usage import machine_network
from orchestrator_nb.events import Used

WORTH = 0.001
"""Seconds that an attempt on a thread has to take for its processor time to be recorded."""

WORTH_NETWORK = 0.2
"""Seconds that an attempt has to take for the machine's network meanwhile to be recorded."""


class Measure(Struct, frozen=True, gc=False):
    """What there was when the attempt began: the processor time of its thread, and what the machine's network had
    received and sent by then."""

    cpu: float
    network: tuple[int, int] | None

    def used(self, processes: Used | None, *, seconds: float) -> Used | None:
        """Return what an attempt of so many seconds took: its processes, where it had any, else its thread; None where
        that is too little to be worth a line.

        A thread knows its processor time; memory and disks it shares with all others of its process.
        """
        if seconds < WORTH:
            return processes
        used = processes or Used(cpu=round(time.thread_time() - self.cpu, 3))
        if seconds < WORTH_NETWORK:
            return used
        before, after = self.network, machine_network(time.monotonic())
        if before is None or after is None:
            return used
        return structs.replace(used, received=after[0] - before[0], sent=after[1] - before[1])
