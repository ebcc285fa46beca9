"""A disk that is full."""

from __future__ import annotations

import resource

from runtime.drills.base import Fault


class DiskFull(Fault):
    """A member cannot write any more."""

    name = "disk-full"
    does = "a member's files may not grow any more; it gives up with the reason, and goes on once they may"
    breaks_off = True
    hits_member = True

    def strike(self) -> None:
        """Limit the size of its files to less than they have, which needs no file system of its own."""
        _, hard = resource.prlimit(self.struck.pid_of(self.struck.victim), resource.RLIMIT_FSIZE)
        resource.prlimit(self.struck.pid_of(self.struck.victim), resource.RLIMIT_FSIZE, (1, hard))
