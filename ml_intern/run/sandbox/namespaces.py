"""Why this machine lets no ordinary user make a user namespace, and the line of which file would change that."""

from __future__ import annotations

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
_PROFILE = "/etc/apparmor.d/bwrap"
RULES = (
    Rule("user/max_user_namespaces", "0", _SYSCTL, "user.max_user_namespaces = 15000"),
    Rule("kernel/unprivileged_userns_clone", "0", _SYSCTL, "kernel.unprivileged_userns_clone = 1"),
    Rule(
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        _PROFILE,
        "abi <abi/4.0>, profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }",
        f"apparmor_parser -r {_PROFILE}",
    ),
)


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


def advice(root: Path = Path("/proc/sys")) -> str:
    """What a person would have to change, in a sentence for each rule; empty where no rule is in force."""
    return " ".join(
        f"/proc/sys/{rule.setting} is {rule.forbids}: to allow user namespaces, put the line `{rule.line}` into "
        f"{rule.file} and load it with `{rule.load}`."
        for rule in forbidding(root)
    )
