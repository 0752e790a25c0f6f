"""Where each case of the design's list is tested, for those that are no payload inside a sandbox; and that none is
forgotten."""

import ast
import importlib
import subprocess
from pathlib import Path

import pytest

from ml_intern.run.attacks.case import CASES

ROOT = Path(__file__).parents[3]
ELSEWHERE = {
    34: "tests.run.attacks.test_exhaustion:test_34_a_daemon_does_not_outlive_its_run",
    35: "tests.run.attacks.test_survival:test_35_a_run_outlives_its_harness_and_the_next_one_takes_it_over",
    36: "tests.run.attacks.test_exhaustion:test_36_a_fork_bomb_ends_at_the_limit_and_leaves_nothing",
    37: "tests.run.attacks.test_exhaustion:test_37_memory_is_ended_at_the_limit",
    38: "tests.run.attacks.test_exhaustion:test_38_many_files_cannot_fill_the_disk_either",
    39: "tests.run.attacks.test_exhaustion:test_39_memory_file_systems_have_a_size",
    40: "tests.run.attacks.test_exhaustion:test_40_endless_output_is_cut_and_the_end_of_it_is_kept",
    41: "tests.run.test_supervisor:test_children_do_not_outlive_the_run_and_do_not_hold_it_up",
    42: "tests.tools.test_file_tools:test_a_link_is_neither_read_nor_written_through",
    43: "tests.tools.test_file_tools:test_a_pipe_does_not_hang_and_a_folder_is_no_file",
    44: "tests.tools.test_file_tools:test_a_sparse_giant_is_read_in_part_only",
    48: "tests.read.test_hostile:test_a_hostile_archive_is_refused_with_exit_code_2_and_nothing_is_written",
    49: "tests.publish.test_hostile_text:test_no_control_or_direction_mark_reaches_a_reader",
    51: "tests.read.test_hostile:test_a_hostile_archive_is_refused_with_exit_code_2_and_nothing_is_written",
    52: "tests.read.test_hostile:test_a_hostile_archive_is_refused_with_exit_code_2_and_nothing_is_written",
    53: "tests.agent.test_pdf_inside:test_a_parser_that_is_captured_gives_no_paper_and_no_traceback",
    54: "tests.run.network.test_proxy:test_54_no_other_name_and_no_address_is_reached",
    55: "tests.run.network.test_proxy:test_55_a_name_that_leads_inside_is_not_reached_whatever_else_it_leads_to",
    56: "tests.run.attacks.test_exhaustion:test_56_output_that_is_no_text_is_kept_as_it_is_and_shown_as_text",
    57: "tests.run.test_supervisor:test_the_wall_clock_stops_a_run_that_ignores_sigterm",
    58: "tests.run.attacks.test_exhaustion:test_58_many_small_files_are_ended_at_the_limit",
    60: "tests.judge.test_cheats:test_predictions_of_every_wrong_kind_are_caught",
    61: "tests.tools.test_paper_tools:test_the_papers_text_cannot_close_its_fence",
    62: "tests.run.test_supervisor:test_no_secret_of_the_environment_reaches_a_script",
    63: "tests.tools.test_file_tools:test_a_folder_that_is_swapped_for_a_link_again_and_again_leads_nowhere",
    64: "tests.judge.test_sealing:test_training_cannot_reach_the_ledger",
    66: "tests.run.test_selfcheck:test_66_where_user_namespaces_are_really_forbidden_bubblewrap_is_not_used",
}
HERE = {
    30: "test_the_harness_never_runs_git",
    31: "test_the_harness_never_runs_git",
    45: "test_45_a_workspace_that_shadows_the_standard_library_does_not_reach_the_harness",
    46: "test_the_harness_never_runs_git",
    47: "test_47_the_harness_unpickles_nothing",
}


def test_every_case_of_the_list_is_tested() -> None:
    played = {case.number for case in CASES if case.number <= 66}
    assert played | set(ELSEWHERE) | set(HERE) == set(range(1, 67))


def test_what_a_filter_of_system_calls_could_forbid_is_not_said_to_be_the_kernels_limit() -> None:
    """Only looking at names cannot be told from what every program does; the rest is left open for a reason."""
    reasons = {case.number: case.uncovered["landlock"] for case in CASES if case.uncovered}
    assert [number for number, reason in reasons.items() if " allowed: " not in reason] == [14]


@pytest.mark.parametrize("number", [*ELSEWHERE, *HERE])
def test_the_test_that_the_register_names_exists(number: int) -> None:
    module, name = ELSEWHERE[number].split(":") if number in ELSEWHERE else (__name__, HERE[number])
    assert callable(getattr(importlib.import_module(module), name))


def sources() -> dict[Path, ast.Module]:
    """Every module that runs in the harness: not the recipes' scripts, nor what is played inside a sandbox."""
    paths = [path for path in (ROOT / "ml_intern").rglob("*.py") if not {"recipes", "payloads"} & {*path.parts}]
    return {path: ast.parse(path.read_text()) for path in paths}


def test_the_harness_never_runs_git() -> None:
    """A workspace's .git could make it run hooks, fsmonitor or filters."""
    for path, tree in sources().items():
        words = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not [word for word in words if word == "git" or word.startswith("git ")], path


UNPICKLING = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
RUNNING = {"torch.load", "torch.serialization.load", "numpy.load", "eval", "exec"}
IMPORTING = {"__import__", "import_module", "importlib.import_module"}


def unpickled(tree: ast.AST) -> set[str]:
    """Calls that run what they read, and imports of what makes such calls, however spelled."""
    meant: dict[str, set[str]] = {}
    called = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                meant.setdefault(alias.asname or alias.name, set()).add(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                meant.setdefault(alias.asname or alias.name, set()).add(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Call):
            called.append(ast.unparse(node.func).removeprefix("builtins."))
            if called[-1] in IMPORTING and node.args and isinstance(node.args[0], ast.Constant):
                meant.setdefault(called[-1], set()).add(str(node.args[0].value))
    found = {name for names in meant.values() for name in names if name.split(".")[0] in UNPICKLING or name in RUNNING}
    for call in called:
        first, dot, rest = call.partition(".")
        found |= {f"{name}{dot}{rest}" for name in meant.get(first, {first})} & RUNNING
    return found


def test_47_the_harness_unpickles_nothing() -> None:
    found = {path: calls for path, tree in sources().items() if (calls := unpickled(tree))}
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        "from pickle import load",
        "import pickle as p",
        "from torch import load",
        "import dill.session",
        "torch.load(f)",
        "import torch as t\nt.load(f)",
        "import numpy as np\nnp.load(f)",
        "from torch import serialization as s\ns.load(f)",
        "__import__('pickle')",
        "import importlib\nimportlib.import_module('joblib')",
        "eval(text)",
        "import builtins\nbuiltins.eval(text)",
        "import pickle as p\nimport json as p",
    ],
)
def test_47_no_way_of_spelling_it_is_overlooked(code: str) -> None:
    assert unpickled(ast.parse(code))


def test_45_a_workspace_that_shadows_the_standard_library_does_not_reach_the_harness(tmp_path: Path) -> None:
    """Somebody starts ml-intern in a folder where an experiment left a json.py and a sitecustomize.py."""
    import sys

    for name in ("json.py", "sitecustomize.py", "usercustomize.py", "pydantic.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\n")
    script = Path(sys.executable).with_name("ml-intern")
    if not script.exists():
        pytest.skip("ml-intern is not installed beside this Python")
    done = subprocess.run([script, "recipes"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()
