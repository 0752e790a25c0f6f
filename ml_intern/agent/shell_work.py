"""What a shell command is for: the program that does its work, behind `cd X &&`, `timeout 60`, pipes and loops.

Knows nothing of what commands print, nor of loops of an agent.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass

_HEREDOC = re.compile(
    r"(?<!<)<<-?[ \t]*(?P<quote>['\"]?)(?P<mark>\w+)(?P=quote)(?P<rest>[^\n]*)\n"
    r"(?P<body>.*?)(?:(?:^|\n)[ \t]*(?P=mark)[ \t]*(?=\n|\Z)|\Z)",
    re.DOTALL | re.MULTILINE,
)
_COMMENT = re.compile(r"(?m)^[ \t]*#.*$")
_PUNCTUATION = "();<>|&\n"
_STANDS_FOR = "\0"  # where a here-document was, with its number behind: no command can contain this character
_DEEPEST = 20  # shells inside shells that are looked into
_KEYWORDS = {"do", "then", "else", "elif", "if", "while", "until", "!", "{", "time", "exec", "command", "builtin"}
_WRAPPERS = {"timeout", "nohup", "nice", "env", "stdbuf", "sudo", "setsid", "xvfb-run", "ionice", "taskset"}
_SHELLS = {"bash", "sh", "dash", "zsh"}
# What moves about, shows or tidies up: beside another program it is not what a command is for.
_BESIDE = {
    "cd", "pushd", "popd", "ls", "cat", "echo", "printf", "head", "tail", "sed", "grep", "egrep", "awk", "wc",
    "mkdir", "cp", "mv", "rm", "ln", "touch", "export", "set", "unset", "source", ".", "pwd", "true", "false",
    ":", "test", "[", "[[", "sleep", "tee", "sort", "uniq", "cut", "tr", "find", "chmod", "which", "type", "date",
    "wait", "less", "read", "exit", "jq", "diff", "kill", "ulimit", "tree", "du", "df", "file", "stat",
    "basename", "dirname", "rg", "nl", "tac", "for", "case", "function", "done", "fi", "esac", "}", "seq",
}  # fmt: skip
_STARTS_OTHERS = re.compile(r"\$\(|`|(?:^|[;&|(\n])\s*(?:source|\.)\s|\s-(?:exec|execdir|ok|okdir)\s")
_ASSIGNMENT = re.compile(r"\w+\+?=.*", re.DOTALL)
_LONGEST = 20_000  # characters of a command that are looked at
_AMOUNT = re.compile(r"\d+(\.\d+)?[smhdk%]?")
_PYTHON = re.compile(r"python\d*(\.\d+)?")


@dataclass(frozen=True)
class Work:
    """`name`: a program and its first word, files without their folder. `code`: what it is given to carry out in the
    command itself, by `-c` or as a here-document; empty where it is given a file."""

    name: str
    code: str = ""


def work_of(command: str) -> Work:
    """The last program of `command` that does more than show, move about or tidy up; else the last of all."""
    return _work_in(command[:_LONGEST].replace(_STANDS_FOR, ""), [], _DEEPEST)


def only_shows(command: str) -> bool:
    """Whether no program in it does more than show, move about or tidy up: a failure that it prints is of before. Of a
    command that is too long to be looked at whole, or has others start programs, that is not known."""
    if len(command) > _LONGEST or _STARTS_OTHERS.search(command):
        return False
    return work_of(command).name.partition(" ")[0] in _BESIDE


def command_in(arguments: str) -> str:
    """The command line that the arguments of a tool call give, as JSON; empty where they give none."""
    try:
        given = json.loads(arguments)
    except ValueError:
        return ""
    command = given.get("command") if isinstance(given, dict) else None
    return command if isinstance(command, str) else ""


def _work_in(command: str, bodies: list[str], deeper: int) -> Work:
    """`bodies`: of here-documents outside, of which `command` may hold some."""

    def keep(match: re.Match[str]) -> str:
        bodies.append(match["body"])
        return f"<< {_STANDS_FOR}{len(bodies) - 1} {match['rest']}"

    text = _COMMENT.sub("", _HEREDOC.sub(keep, command)).replace("\\\n", " ")
    works = [work for words in _parts(text) if (work := _work(words, bodies, deeper)) is not None]
    telling = [work for work in works if work.name.partition(" ")[0] not in _BESIDE]
    return (telling or works or [Work(" ".join(command.split()[:2]))])[-1]


def _parts(text: str) -> list[list[str]]:
    """The simple commands, as words; of redirections only here-documents stay."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=_PUNCTUATION)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    try:
        words = list(lexer)
    except ValueError:  # a quotation without an end
        words = text.split()
    parts: list[list[str]] = [[]]
    redirects = False
    for word in words:
        if redirects:
            redirects = False
            if word.startswith(_STANDS_FOR):
                parts[-1].append(word)
        elif word and set(word) <= set(_PUNCTUATION):
            redirects = bool(set(word) & set("<>"))
            if not redirects:
                parts.append([])
            elif parts[-1] and parts[-1][-1].isdigit():
                parts[-1].pop()  # the 2 of 2>&1
        else:
            parts[-1].append(word)
    return parts


def _work(words: list[str], bodies: list[str], deeper: int) -> Work | None:
    """None where no program is started."""
    words = _unwrapped(words)
    if not words:
        return None
    program = words[0].rsplit("/", 1)[-1] or words[0]
    code, rest = "", words[1:]
    if "-c" in rest and (place := rest.index("-c") + 1) < len(rest):
        code, rest = rest[place], rest[: place - 1]
    elif here := [word for word in rest if word.startswith(_STANDS_FOR)]:
        code = bodies[int(here[-1].removeprefix(_STANDS_FOR))]
        rest = [word for word in rest if word not in here]
    if program in _SHELLS and code and deeper:
        return _work_in(code, bodies, deeper - 1)
    named = [word for word in rest if not word.startswith("-") and not _ASSIGNMENT.fullmatch(word)]
    program = "python" if _PYTHON.fullmatch(program) else program
    first = named[0].rsplit("/", 1)[-1] or named[0] if named else ""
    return Work(f"{program} {first}".strip(), "" if first and program == "python" else code)


def _unwrapped(words: list[str]) -> list[str]:
    """Without keywords, assignments and programs that only start another, with what these are told."""
    while words:
        if words[0] in _KEYWORDS or _ASSIGNMENT.fullmatch(words[0]):
            words = words[1:]
        elif words[0].rsplit("/", 1)[-1] in _WRAPPERS:
            words = words[1:]
            while words and (words[0].startswith("-") or _AMOUNT.fullmatch(words[0])):
                words = words[1:]
        else:
            return words
    return words
