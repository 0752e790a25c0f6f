"""Why this machine lets no ordinary user make a user namespace, and the line of which file would change that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Rule:
    """`setting` (a file below /proc/sys) forbids user namespaces where it says `forbids`; `line` in `file` allows them."""

    setting: str
    forbids: str
    file: str
    line: str


RULES = (
    Rule("user/max_user_namespaces", "0", "/etc/sysctl.d/90-ml-intern.conf", "user.max_user_namespaces = 15000"),
    Rule(
        "kernel/unprivileged_userns_clone", "0", "/etc/sysctl.d/90-ml-intern.conf", "kernel.unprivileged_userns_clone = 1"
    ),
    Rule(
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "/etc/apparmor.d/bwrap",
        "abi <abi/4.0>, profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }",
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
        f"{rule.file} and load it ({'apparmor_parser -r ' + rule.file if 'apparmor' in rule.file else 'sysctl --system'})."
        for rule in forbidding(root)
    )
