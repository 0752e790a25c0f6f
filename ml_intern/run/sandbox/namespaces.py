"""Why this machine lets no ordinary user make a user namespace, and the line of which file would change that."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Rule:
    """Where `setting` (a file below /proc/sys) says `forbids`, there are none; `line` in `file`, once `load` has run,
    allows them."""

    setting: str
    forbids: str
    file: str
    line: str
    load: str = "sysctl --system"


_SYSCTL = "/etc/sysctl.d/90-ml-intern.conf"
_PROFILE = "/etc/apparmor.d/ml-intern-bwrap"
_USUAL = Path("/usr/bin/bwrap")
RULES = (
    Rule("user/max_user_namespaces", "0", _SYSCTL, "user.max_user_namespaces = 15000"),
    Rule("kernel/unprivileged_userns_clone", "0", _SYSCTL, "kernel.unprivileged_userns_clone = 1"),
    Rule(
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        _PROFILE,
        f'abi <abi/4.0>, profile ml-intern-bwrap "{_USUAL}" flags=(unconfined) {{ userns, }}',
        f"apparmor_parser -r {_PROFILE}",
    ),
)


# What bubblewrap says where something that is no rule of these forbids what it needs: the filter of a container.
_REFUSED = ("not permitted", "ermission denied", "namespace")
_CONTAINER = (
    "No setting of this system forbids user namespaces, so a container around it does, as a rule: start that with "
    "`--security-opt seccomp=unconfined --security-opt systempaths=unconfined` (docker and podman)"
)
_AS_ROOT = ", or work in it as an ordinary user (`--user 1000`), who gets tier B"


def forbidding(root: Path = Path("/proc/sys")) -> list[Rule]:
    """The rules that are in force here; `root`: where the kernel shows its settings."""
    found = []
    for rule in RULES:
        try:
            if (root / rule.setting).read_text().strip() == rule.forbids:
                found.append(rule)
        except OSError:
            continue
    return found


def advice(root: Path = Path("/proc/sys"), binary: Path | None = None, problem: str = "") -> str:
    """What a person would have to change, in a sentence for each rule; empty where no rule is in force. `binary`: the
    bubblewrap that is used; `problem`: why it could not be, where that was tried."""
    rules = forbidding(root)
    if not rules and any(word in problem for word in _REFUSED):
        return f"{_CONTAINER}{_AS_ROOT if os.geteuid() == 0 else ''}."
    return " ".join(
        f"/proc/sys/{rule.setting} is {rule.forbids}: to allow user namespaces, put the line "
        f"`{rule.line.replace(str(_USUAL), str(binary or _USUAL))}` into {rule.file} and load it with `{rule.load}`."
        for rule in rules
    )
