"""The configuration file: what it says, and what is said of a wrong one."""

from pathlib import Path

import pytest

from ml_intern.config import Config
from ml_intern.errors import InputError
from ml_intern.llm.fallback import Fallback
from ml_intern.llm.models import open_model
from ml_intern.settings import Settings, load_settings

FULL = """
[models."openai/qwen"]
base_url = "http://127.0.0.1:8080/v1/"
api_key_env = "QWEN_KEY"
input_usd_per_million = 0.5
output_usd_per_million = 2
cached_input_usd_per_million = 0.1
context_tokens = 32768
max_output_tokens = 4096
tools = false
stream = false
effort = "low"
timeout_seconds = 60
fallback = ["anthropic/claude-sonnet-4-5", "ollama_chat/llama3"]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_a_full_file_is_read(tmp_path: Path) -> None:
    one = load_settings(written(tmp_path, FULL)).model("openai/qwen")
    assert (one.base_url, one.api_key_env) == ("http://127.0.0.1:8080/v1", "QWEN_KEY")
    assert (one.tools, one.effort, one.fallback[1]) == (False, "low", "ollama_chat/llama3")


def test_the_first_rule_that_fits_in_name_and_class_is_the_one(tmp_path: Path) -> None:
    text = """
[approvals]
gpu_minutes = 90
usd = 2.5

[[approvals.rules]]
tool = "fetch_*"
class = "external"
do = "allow"

[[approvals.rules]]
class = "external"
do = "refuse"
"""
    found = load_settings(written(tmp_path, text)).approvals
    assert (found.gpu_minutes, found.usd) == (90, 2.5)
    fetching, rest = found.rules
    assert fetching.fits("fetch_model", "external") and not fetching.fits("fetch_model", "workspace")
    assert not fetching.fits("search", "external") and rest.fits("search", "external")


def test_no_file_is_no_settings(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "config.toml") == Settings()
    assert Settings().model("openai/gpt-5").tools is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[models."a/b"]\n\ncontext_tokens = "many"', ["line 3", 'models."a/b".context_tokens', "valid integer"]),
        ('[models."a/b"]\ninput_usd_per_million = -1', ["line 2", "is -1", "greater than or equal to 0"]),
        ('[models."a/b"]\neffort = "huge"', ["line 2", "'huge'", "'minimal', 'low', 'medium' or 'high'"]),
        ('[models."a/b"]\ninput_usd_per_million = 1', ["a price has two parts", "output_usd_per_million"]),
        ('[models."a/b"]\nprice = 1', ["line 2", "no setting", "price", "input_usd_per_million"]),
        ('[models."a/c"]\ntools = true\n[models."a/b"]\ntools = 7', ["line 4", 'models."a/b".tools']),
        ("[model.x]\ntools = true", ["line 1", "no setting model", '[models."openai/gpt-5"]']),
        ('[models."a/b"]\nbase_url = "127.0.0.1:8080"', ["line 2", "http://127.0.0.1:8080/v1"]),
        ('[models."a/b"\ntools = true', ["no valid TOML", "line 1"]),
        ('models = "x"', ["line 1", "models"]),
        ('[models."a/b"]\nfallback = "openai/x"', ["line 2", "fallback", "tuple"]),
        ("[approvals]\ngpu_minutes = -1", ["line 2", "approvals.gpu_minutes", "is -1"]),
        ("[approvals]\nminutes = 1", ["line 2", "no setting approvals.minutes", "rules, gpu_minutes, usd"]),
        (
            '[[approvals.rules]]\ntool = "a"\ndo = "ask"\n[[approvals.rules]]\nclass = "outside"\ndo = "ask"',
            ["line 5", "'outside'", "'workspace', 'experiment' or 'external'"],
        ),
        ('[[approvals.rules]]\nclass = "read-only"\ndo = "refuse"', ["line 2", "'read-only'"]),
        ('[[approvals.rules]]\ntool = "a"\ndo = "perhaps"', ["line 3", "'allow', 'ask' or 'refuse'"]),
        ('[[approvals.rules]]\ndo = "allow"', ["line 1", "a rule names a tool, a class, or both"]),
        ('[[approvals.rules]]\ntool = "a"\nname = "b"\ndo = "ask"', ["line 3", "tool, class, do"]),
        ("[models]\n'a/b' = { tools = 3 }", ["line 2", "tools"]),
    ],
)
def test_a_mistake_names_the_line_the_setting_and_what_is_allowed(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        load_settings(written(tmp_path, text))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        'api_key_env = "sk-proj-SECRETsecret123456"',
        'api_key_env = "hf_SECRETsecretSECRETsecret"',
        'api_key_env = "AKIASECRETSECRETSEC1"',
        'api_key_env = "SECRET secret"',
        'api_key = "sk-proj-SECRETsecret123456"',
        'token = "SECRET"',
        'base_url = "https://user:SECRET@example.org/v1"',
        'base_url = "https://example.org/v1?key=SECRET"',
        'effort = "sk-proj-SECRETsecret123456"',
        'context_tokens = "sk-proj-SECRETsecret123456"',
    ],
)
def test_a_key_in_the_file_is_refused_and_not_repeated(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError) as caught:
        load_settings(written(tmp_path, f'[models."a/b"]\n{line}\n'))
    assert "SECRET" not in str(caught.value)
    assert "line 2" in str(caught.value)
    if "api_key" in line or "token =" in line:
        assert "environment variable" in str(caught.value)


def test_a_model_is_opened_with_those_that_stand_in_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(home=tmp_path)
    written(tmp_path, FULL)
    with pytest.raises(InputError, match="QWEN_KEY is not set"):
        open_model("openai/qwen", config)
    monkeypatch.setenv("QWEN_KEY", "x")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
    model = open_model("openai/qwen", config)
    assert isinstance(model, Fallback)
    assert [one.id for one in model.models] == ["openai/qwen", "anthropic/claude-sonnet-4-5", "ollama_chat/llama3"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("gpt", ""), ("openai/gpt-5", None), ("gpt-4o-mni", "openai/gpt-4o-mini"), ("antropic/claude", "anthropic/"),
     ("openai/some-new-model", None), ("nobody-knows/x", None)],
)  # fmt: skip
def test_an_id_that_is_none_is_refused_with_what_may_have_been_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, meant: str | None
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    if meant is None:
        assert open_model(name, Config(home=tmp_path)).id == name
        return
    with pytest.raises(InputError, match="There is no model") as caught:
        open_model(name, Config(home=tmp_path))
    assert meant in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"), [("deepseek-chat", "deepseek/deepseek-chat"), ("my-model", "openai/my-model")]
)
def test_an_id_that_does_not_say_whose_model_it_is_is_refused_with_the_one_that_does(
    tmp_path: Path, name: str, meant: str
) -> None:
    written(tmp_path, '[models."my-model"]\nbase_url = "http://127.0.0.1:1/v1"\n')
    with pytest.raises(InputError, match="whose model") as caught:
        open_model(name, Config(home=tmp_path))
    assert meant in str(caught.value)
