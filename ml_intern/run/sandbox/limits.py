"""The kernel's own limits of one process and what it starts. Knows nothing of sandboxes."""

from __future__ import annotations

from ml_intern.run.spec import Limits


def limit(pid: int, limits: Limits, *, processes: bool) -> None:
    """Sets file size, core dumps and open files of `pid` (0: this process); with `processes` also how many it may
    start, which makes sense only where they are counted for this run alone (a user namespace of its own)."""
    try:
        import resource

        size = limits.file_mb * 1024 * 1024
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
        files = limits.open_files
        hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY:
            files = min(files, hard)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (files, files))
        if processes:
            resource.prlimit(pid, resource.RLIMIT_NPROC, (limits.processes, limits.processes))
    except (ImportError, AttributeError, OSError):  # no prlimit here (macOS), or the process has already ended
        return
