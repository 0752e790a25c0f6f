"""The kernel's own limits of one process and what it starts. Knows nothing of sandboxes."""

from __future__ import annotations

from ml_intern.run.spec import Limits


def limit_processes(limits: Limits) -> None:
    """Sets how many processes and threads this process and its children may have; counted for their user in the user
    namespace that they are in."""
    import resource

    resource.setrlimit(resource.RLIMIT_NPROC, (limits.processes, limits.processes))


def limit(pid: int, limits: Limits) -> None:
    """Sets file size, core dumps and open files of `pid` (0: this process). The number of processes is not set: the
    kernel counts it over everything that a user runs."""
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
    except (ImportError, AttributeError, OSError):  # no prlimit here (macOS), or the process has already ended
        return
