"""Secrets as they turn up in practice are replaced; honest machine-learning material is left alone."""

from __future__ import annotations

import base64
import json
import random
import string
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_intern.redaction import Finding, Redactor

ROOT = Path(__file__).parent.parent
_ALNUM = string.ascii_letters + string.digits


def made_up(length: int, seed: int = 0, of: str = _ALNUM) -> str:
    """Random characters, the same at every run: no secret stands in this file."""
    rng = random.Random(f"{length} {seed} {of}")
    return "".join(rng.choice(of) for _ in range(length))


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


HF = "hf" + "_" + made_up(34)
GITHUB = "gh" + "p_" + made_up(36)
OPENAI = "sk" + "-proj-" + made_up(60, of=_ALNUM + "_-") + "x"
ANTHROPIC = "sk" + "-ant-" + "api03-" + made_up(80, of=_ALNUM + "_-") + "x"
AWS_ID = "AK" + "IA" + made_up(16, of=string.ascii_uppercase + "234567")
AWS_SECRET = made_up(40, of=_ALNUM + "+/")
WANDB = made_up(40, of="0123456789abcdef")
KAGGLE = made_up(32, of="0123456789abcdef")
PASSWORD = "Tr0ub" + "4dor&" + made_up(6)
OPAQUE = made_up(24)
JWT = "ey" + "J" + made_up(30, 1) + ".ey" + "J" + made_up(60, 2) + "." + made_up(43, 3)
PEM_BODY = "\n".join(made_up(64, line, _ALNUM + "+/") for line in range(6))
PEM = f"-----BEGIN RSA PRIV{'ATE'} KEY-----\n{PEM_BODY}\n-----END RSA PRIV{'ATE'} KEY-----"
KNOWN = "q7" + made_up(30, 9)  # of no provider's shape: only its value is known

PROVIDERS = {
    "OpenAI": "sk" + "-" + made_up(48),
    "OpenAI, of a project": OPENAI,
    "Anthropic": ANTHROPIC,
    "Hugging Face": HF,
    "Hugging Face organisation": "api" + "_org_" + made_up(34),
    "GitHub personal": GITHUB,
    "GitHub OAuth": "gh" + "o_" + made_up(36),
    "GitHub server": "gh" + "s_" + made_up(36),
    "GitHub fine-grained": "github" + "_pat_" + made_up(22) + "_" + made_up(59),
    "GitLab": "gl" + "pat-" + made_up(20),
    "AWS": AWS_ID,
    "AWS, temporary": "AS" + "IA" + made_up(16, of=string.ascii_uppercase),
    "Google": "AI" + "za" + made_up(35),
    "Slack": "xo" + "xb-" + made_up(12, of="0123456789") + "-" + made_up(24),
    "Stripe": "sk" + "_live_" + made_up(24),
    "Groq": "gs" + "k_" + made_up(52),
    "xAI": "xa" + "i-" + made_up(80),
    "Replicate": "r" + "8_" + made_up(37),
    "npm": "np" + "m_" + made_up(36),
    "PyPI": "py" + "pi-" + "AgEIcHlwaS5vcmc" + made_up(100),
    "JWT": JWT,
}


def halves(secret: str) -> tuple[str, str]:
    return secret[: len(secret) // 2], secret[len(secret) // 2 :]


_A, _B = halves(HF)
_K, _L = halves(KNOWN)
# Name: a text and the pieces of which none may be left. A redactor with an empty environment reads it, with guess.
PLANTS: dict[str, tuple[str, str]] = {
    "environment dumped in a traceback": (f"KeyError: environ({{'HOME': '/root', 'HF_TOKEN': '{HF}', 'A': '1'}})", HF),
    "output of env": (f"PATH=/usr/bin\nDB_PASSWORD={PASSWORD}\nSHELL=/bin/sh", PASSWORD),
    "git remote": (f"origin\thttps://x-access-token:{OPAQUE}@github.com/a/b.git (fetch)", OPAQUE),
    "git remote, token as the user": (f"fatal: unable to access 'https://{OPAQUE}@github.com/a/b.git/'", OPAQUE),
    "notebook output": (json.dumps({"outputs": [{"text": ["Token is valid\n", f"{HF}\n"]}]}), HF),
    "notebook source split over items": (f'["t = \'{_A}\\n",\n "{_B}\'"]', _B),
    "base64 of a line": (f"payload: {b64(f'export TOKEN={HF} # mine')}", b64(HF)[4:-8]),
    "base64 over MIME lines": (base64.encodebytes(f"{'x' * 40} {HF} {'y' * 90}".encode()).decode(), ""),
    "base64 of a password file": (b64(f"machine a.b login me password {PASSWORD}\n"), ""),
    "split by a line break": (f"token: {_A}\n    {_B}\nnext line", _B),
    "split by an escaped line break": (f'{{"out": "{_A}\\n{_B}\\nnext"}}', _B),
    "split by a continued line": (f"huggingface-cli login --token {_A}\\\n{_B}", _B),
    "split into two Python strings": (f'token = (\n    "{_A}"\n    "{_B}"\n)', _B),
    "split by a plus": (f"t = '{_A}' + '{_B}'", _B),
    "split in the box of a terminal": (f"│ token = '{_A} │\n│ {_B}' │", _B),
    "open-ended token wrapped": (f"{ANTHROPIC[:70]}\n{ANTHROPIC[70:]}\nend", ANTHROPIC[70:]),
    "file name": (f"runs/model-{HF}-final.safetensors", HF),
    "coloured terminal output": (f"\x1b[32m{GITHUB}\x1b[0m", GITHUB),
    "curl with a header": (f"curl -H 'Authorization: Bearer {OPAQUE}' https://api.example.com/v1", OPAQUE),
    "curl with a user": (f"curl -s -u me:{PASSWORD} https://example.com", PASSWORD),
    "netrc": (f"machine api.wandb.ai\n  login user\n  password {WANDB}\n", WANDB),
    "netrc with a weak password": ("machine example.com login me password sunshine", "sunshine"),
    "Docker configuration": (
        json.dumps({"auths": {"ghcr.io": {"auth": b64(f"me:{PASSWORD}")}}}),
        b64(f"me:{PASSWORD}"),
    ),
    "Python repr of a dict": (f"{{'user': 'me', 'password': '{PASSWORD}', 'n': 3}}", PASSWORD),
    "YAML": (f"db:\n  user: me\n  password: {PASSWORD}\n  port: 5432", PASSWORD),
    "YAML block": (f"token: |\n  {OPAQUE}\n", OPAQUE),
    "query of a URL": (f"GET https://example.com/v1/x?user=1&token={OPAQUE}&n=2", OPAQUE),
    "signed URL": (f"https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature={WANDB}{KAGGLE}"[:-8], WANDB),
    "private key block": (f"here:\n{PEM}\nafter", PEM_BODY[:64]),
    "private key in JSON": (json.dumps({"private_key": PEM}), PEM_BODY[70:120]),
    "private key without its end": (PEM[:300], PEM_BODY[:64]),
    "kaggle.json": (json.dumps({"username": "me", "key": KAGGLE}), KAGGLE),
    "wandb login": (f"$ wandb login --relogin {WANDB}", WANDB),
    "wandb in a variable": (f"WANDB_API_KEY={WANDB}", WANDB),
    "wandb through a pipe": (f"echo {WANDB} | wandb login", WANDB),
    "AWS credentials file": (
        f"[default]\naws_access_key_id = {AWS_ID}\naws_secret_access_key = {AWS_SECRET}",
        AWS_SECRET,
    ),
    "AWS credentials as CSV": (f"Access key ID,Secret access key\n{AWS_ID},{AWS_SECRET}", AWS_SECRET),
    "Kubernetes secret": (f"kind: Secret\ndata:\n  password: {b64(PASSWORD)}\n  user: bWU=", b64(PASSWORD).rstrip("=")),
    "Kubernetes variable": (f"- name: API_TOKEN\n  value: {OPAQUE}\n", OPAQUE),
    "JSON inside JSON": (json.dumps({"body": json.dumps({"api_key": OPAQUE})}), OPAQUE),
    "JSON inside JSON inside JSON": (json.dumps(json.dumps({"body": json.dumps({"password": PASSWORD})})), PASSWORD),
    "HTTP headers": (f"> Host: a.b\n> X-Api-Key: {OPAQUE}\n> Accept: */*", OPAQUE),
    "HTTP headers as a dict": (f"{{'authorization': 'Basic {b64('me:' + PASSWORD)}'}}", b64("me:" + PASSWORD)),
    "cookie": (f"Set-Cookie: session={OPAQUE}; Path=/; HttpOnly", OPAQUE),
    "Makefile": (f"export OPENAI_API_KEY := {OPENAI}\n\nrun:\n\tpython train.py", OPENAI),
    "Dockerfile": (f"ENV SECRET_KEY {OPAQUE}", OPAQUE),
    "locals of a traceback": (f"    client = <Client>\n    api_key = '{OPAQUE}'\n    n = 3", OPAQUE),
    "keyword argument": (f'login(token="{OPAQUE}", add_to_git_credential=False)', OPAQUE),
    "command-line option": (f"python train.py --api-key {OPAQUE} --epochs 3", OPAQUE),
    "database URL": (f"sqlalchemy.url = postgresql://me:{quote(PASSWORD)}@db:5432/x", quote(PASSWORD)),
    "quoted password with punctuation": ('{"password": "aB3,x(Y9;z=Q1:w"}', "z=Q1"),
    "bare password with an ampersand": (f"PASSWORD=x9Zk2pLm&{OPAQUE}", OPAQUE),
    "list under a word": (f'{{"token": ["{OPAQUE}"]}}', OPAQUE),
    "assignment in Python": (f'os.environ["MY_SECRET"] = "{PASSWORD}"', PASSWORD),
    "JavaScript in camel case": (f'const cfg = {{ clientSecret: "{OPAQUE}" }}', OPAQUE),
    "XML": (f"<server><password>{PASSWORD.replace('&', '.')}</password></server>", PASSWORD.replace("&", ".")),
    "Slack webhook": (f"https://hooks.slack.com/services/T0AB/B0CD/{OPAQUE}", OPAQUE),
}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_secret_is_replaced(name: str) -> None:
    text, secret = PLANTS[name]
    redacted, findings = Redactor({}).text(text, guess=True)
    assert findings and "[redacted: " in redacted
    assert not secret or secret not in redacted
    for length in range(12, 40, 4):  # no large piece of it is left either
        assert not secret or secret[-length:] not in redacted or len(secret) < length


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    "form",
    [
        "{}",
        'x = "{}"',
        "\\n{}\\n",
        "a {} b {} c",
        "%3D{}",
        "<{}>",
        "prefix-{}.txt",
        "({})",
        "{}\n",
        '{{\\"t\\": \\"{}\\"}}',
    ],
)
def test_a_providers_token_is_found_without_guessing(name: str, form: str) -> None:
    token = PROVIDERS[name]
    redacted, findings = Redactor({}).text(form.format(token, token), guess=False)
    assert token not in redacted and token[-12:] not in redacted
    assert len(findings) == max(form.count("{}"), 1)


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("before", ["", "x", "xy"])
def test_a_providers_token_is_found_in_base64_at_every_alignment(name: str, before: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(f"{before} {PROVIDERS[name]} and more".encode()).decode()
        redacted, findings = Redactor({}).text(f"data={text} end")
        assert findings and redacted.endswith("end") and text[12:40] not in redacted


@pytest.mark.parametrize("glued", ["/", "ab", "x/y"])
def test_base64_is_read_also_where_other_characters_stand_right_before_it(glued: str) -> None:
    redacted, findings = Redactor({}).text(f"={glued}{b64(f'my {HF} and more')}")
    assert findings and b64(f"my {HF} and more")[12:40] not in redacted


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("between", ["\n", "\n    ", "\\n", "\\\n", '"\n    "', '" + "', "\r\n", '"\n  + "'])
def test_a_providers_token_is_found_over_two_lines(name: str, between: str) -> None:
    first, second = halves(PROVIDERS[name])
    redacted, findings = Redactor({}).text(f'start "{first}{between}{second}" end')
    assert findings and second[-10:] not in redacted
    assert redacted.startswith("start") and redacted.endswith("end")


KNOWN_FORMS = {
    "plain": KNOWN,
    "within a word": f"abc{KNOWN}def",
    "hex": KNOWN.encode().hex(),
    "upper hex": KNOWN.encode().hex().upper(),
    "base64, first alignment": b64(KNOWN + "!"),
    "base64, second alignment": b64("a" + KNOWN),
    "base64, third alignment": b64("ab" + KNOWN + "cd"),
    "base64 over lines": base64.encodebytes(("x" * 40 + KNOWN + "y" * 40).encode()).decode(),
    "line break": f"{_K}\n{_L}",
    "line break and indentation": f"{_K}\n\t    {_L}",
    "escaped line break": f"{_K}\\n{_L}",
    "twice escaped line break": f"{_K}\\\\n{_L}",
    "continuation": f"{_K}\\\n{_L}",
    "strings side by side": f'"{_K}"\n    "{_L}"',
    "strings on one line": f'"{_K}" "{_L}"',
    "strings and a plus": f"'{_K}' + \\\n  f'{_L}'",
    "hex over lines": KNOWN.encode().hex()[:20] + "\n" + KNOWN.encode().hex()[20:],
}


@pytest.mark.parametrize("name", KNOWN_FORMS)
def test_a_known_value_is_found_in_every_form(name: str) -> None:
    text = f"before {KNOWN_FORMS[name]} after"
    redacted, findings = Redactor({"MY_TOKEN": KNOWN}).text(text)
    assert {finding.kind for finding in findings} == {"value of MY_TOKEN"}
    assert redacted.startswith("before ") and redacted.endswith(" after")
    assert _L[-10:] not in redacted and b64(KNOWN)[8:20] not in redacted


@pytest.mark.parametrize(
    "encode",
    [
        lambda value: quote(value, safe=""),
        lambda value: json.dumps(value),
        lambda value: json.dumps(json.dumps(value)),
        repr,
        lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    ],
    ids=["url", "json", "json in json", "repr", "urlsafe base64"],
)
def test_a_known_value_with_odd_characters_is_found_when_escaped(encode) -> None:
    value = 'p"a/s\\s wörd?>' + "~~" + made_up(6)
    redacted, findings = Redactor({"DB_PASSWORD": value}).text(f"x={encode(value)};")
    assert len(findings) == 1 and value[-6:] not in redacted


HONEST = [
    '"num_tokens": 512, "token_id": 50256, "eos_token": "<|endoftext|>", "pad_token_id": 0',
    "scores = softmax(q @ k.T) ; key=attention_weights; key = model.layers.12.self_attn.k_proj.weight",
    "tokenizer = AutoTokenizer.from_pretrained('meta-llama/Llama-3.1-8B-Instruct', token=hf_token)",
    "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 hf_hub_download hf_transformers_configuration_utilities",
    "special_tokens_map.json tokenizer_config.json vocab.json",
    f"sha256: {made_up(64, of='0123456789abcdef')}  commit {made_up(40, of='0123456789abcdef')}",
    f"numpy==2.1.0 --hash=sha256:{made_up(64, of='0123456789abcdef')}",
    f"cache_key: {made_up(64, of='0123456789abcdef')}",
    f"wandb: run at commit {made_up(40, of='0123456789abcdef')}",
    "loss=0.123456789012345 key=0.12345678901234 token: 1.2345678e-05, 3.14159265358979",
    "key: 3f2504e0-4f89-11d3-9a0c-0305e82c3301 token=3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    f"key file /home/a/.cache/huggingface/hub/models--x/snapshots/{made_up(40, of='0123456789abcdef')}/tokenizer.json",
    r"\begin{equation}\label{eq:key_value_attention} \mathrm{softmax}(QK^\top/\sqrt{d_k}) \nabla \tau \end{equation}",
    f'<img src="data:image/png;base64,{base64.b64encode(random.Random(1).randbytes(6000)).decode()}"/>',
    '"image/png": "' + base64.encodebytes(random.Random(2).randbytes(6000)).decode().replace("\n", "\\n") + '"',
    "for token in tokens: key, value = token.split('='); password = getpass.getpass('Password: ')",
    "token = os.environ['HF_TOKEN']; api_key = os.getenv('OPENAI_API_KEY', '')  # export HF_TOKEN=hf_...",
    "token: ${HF_TOKEN} password: {{ password }} Authorization: Bearer $TOKEN, https://user:${TOKEN}@github.com/a/b",
    "sorted(items, key=lambda item: (item.epoch, item.accuracy_on_validation_set_v2))",
    "The key insight is state-of-the-art; tokens like sub-word-tokenization-2024-05 matter. Basic understandings",
    "risk-adjusted task-specific disk-usage sk-learn mask-filling-transformer-based-models",
    "vocab:\nhf\ndataset\nload\ntrain\nvalidation\nsomething\nlonger\nthanthirty\ncharacters",
    "model_name_or_path: distilbert-base-uncased-finetuned-sst-2-english; Qwen/Qwen2.5-Coder-7B-Instruct-GPTQ-Int4",
    '{"key": "layer3x3conv_block2b", "token": "Ġtransformers", "auth": null, "cookie": false}',
    "2024-05-01T12:00:00.123456Z key=2024-05-01T12:00:00Z torch==2.5.1+cu121 key=torch-2.5.1+cu121-cp311",
    "key: fp8_e4m3_b128x128_w4a16, key_dim=64x64x128x256, token: <0x0A>",
    "TOKENIZERS_PARALLELISM=false MAX_TOKENS=4096000000 KEY=production-environment",
]


@pytest.mark.parametrize("text", HONEST, ids=[text[:30] for text in HONEST])
def test_honest_material_is_left_alone(text: str) -> None:
    assert Redactor({}).text(text, guess=True) == (text, ())
    assert Redactor({}).data({"text": text, "lines": [text]}, guess=True) == ({"text": text, "lines": [text]}, ())


# Files of the repository that may be changed, each with its reason.
EXCEPTIONS: dict[str, str] = {}


def test_the_files_of_the_repository_are_left_alone() -> None:
    changed: dict[str, list[Finding]] = {}
    for folder in ("ml_intern", "prompts", "examples"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                try:
                    text = path.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    continue
                redacted, findings = Redactor({}).text(text, guess=True)
                if redacted != text and str(path.relative_to(ROOT)) not in EXCEPTIONS:
                    changed[str(path.relative_to(ROOT))] = list(findings)
    assert changed == {}


@pytest.mark.parametrize("name", PLANTS)
def test_redacting_twice_changes_nothing_more(name: str) -> None:
    redactor = Redactor({"MY_TOKEN": KNOWN, "ODD": "redacted", "TOKEN": "value of"})
    once, _ = redactor.text(f"{PLANTS[name][0]}\n{KNOWN} {PLANTS[name][0]} redacted", guess=True)
    assert redactor.text(once, guess=True) == (once, ())


_PIECES = st.sampled_from(
    [
        *(
            *PROVIDERS.values(),
            KNOWN,
            _K,
            _L,
            WANDB,
            PASSWORD,
            OPAQUE,
            "[redacted: ",
            "GitHub token]",
            "value of MY_TOKEN]",
        ),
        *(
            "token",
            "password",
            "key",
            "=",
            ": ",
            '"',
            "'",
            "\n",
            "\\n",
            "\\",
            " ",
            "+",
            "wandb login ",
            "://",
            "@",
            "eyJ",
            "hf_",
        ),
        *(
            "Bearer ",
            "Cookie: a=",
            "machine a login b password ",
            "curl -u a:",
            "?token=",
            "data:",
            "/",
            "-",
            "{",
            "}",
            "&",
        ),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES, max_size=14).map("".join))
def test_redacting_any_mixture_twice_changes_nothing_more(text: str) -> None:
    redactor = Redactor({"MY_TOKEN": KNOWN})
    once, findings = redactor.text(text, guess=True)
    assert redactor.text(once, guess=True) == (once, ())
    assert KNOWN not in once
    assert bool(findings) == (once != text)
    assert all(1 <= finding.line <= text.count("\n") + 1 for finding in findings)


def test_several_secrets_on_one_line_are_all_replaced() -> None:
    text = f"{HF} {GITHUB},{OPENAI};password={PASSWORD} {KNOWN}"
    redacted, findings = Redactor({"MY_TOKEN": KNOWN}).text(text, guess=True)
    assert len(findings) == 5
    assert redacted == (
        "[redacted: Hugging Face token] [redacted: GitHub token],[redacted: OpenAI key];"
        "password=[redacted: high-entropy value of 'password'] [redacted: value of MY_TOKEN]"
    )


def test_a_known_value_is_named_rather_than_its_provider() -> None:
    assert Redactor({"HF_TOKEN": HF}).text(f"token={HF}", guess=True)[0] == "token=[redacted: value of HF_TOKEN]"


def test_findings_tell_the_line_and_never_the_secret() -> None:
    text = f"one\n{PEM}\nthree {HF}\n{HF[:20]}\n{HF[20:]}\nlast {GITHUB}"
    _, findings = Redactor({}).text(text)
    after = 2 + PEM.count("\n")
    assert [(finding.kind, finding.line) for finding in findings] == [
        ("private key", 2),
        ("Hugging Face token", after + 1),
        ("Hugging Face token", after + 2),
        ("GitHub token", after + 4),
    ]
    assert Redactor({f"NAME_{KNOWN}": KNOWN}).text(KNOWN)[0] == "[redacted: known secret]"


def test_two_tokens_on_lines_of_their_own_stay_two() -> None:
    other = "sk" + "-proj-" + made_up(60, 7)
    redacted, findings = Redactor({}).text(f"{OPENAI}\n{other}\nexport\nHF_TOKEN=x")
    assert redacted == "[redacted: OpenAI key]\n[redacted: OpenAI key]\nexport\nHF_TOKEN=x"
    assert len(findings) == 2


def test_without_guessing_random_strings_stay() -> None:
    text = f"api_key={OPAQUE} password: {PASSWORD}"
    assert Redactor({}).text(text, guess=False) == (text, ())


def test_data_is_redacted_in_values_and_keys_at_any_depth() -> None:
    value = {"a": [{"b": f"x {HF}"}, 1, None, 2.5, True], HF: {"c": "fine"}, GITHUB: 3, GITHUB + " ": 4}
    redacted, findings = Redactor({}).data(value)
    assert redacted == {
        "a": [{"b": "x [redacted: Hugging Face token]"}, 1, None, 2.5, True],
        "[redacted: Hugging Face token]": {"c": "fine"},
        "[redacted: GitHub token]": 3,
        "[redacted: GitHub token] ": 4,
    }
    assert len(findings) == 4


def test_keys_that_become_equal_keep_their_values() -> None:
    other = "gh" + "p_" + made_up(36, 5)
    redacted, _ = Redactor({}).data({GITHUB: 1, other: 2})
    assert redacted == {"[redacted: GitHub token]": 1, "[redacted: GitHub token] (again)": 2}


def test_a_key_counts_as_the_word_beside_its_value() -> None:
    value = {"api_key": OPAQUE, "tokens": ["the", "model"], "env": [{"name": "MY_TOKEN", "value": OPAQUE}], "n": OPAQUE}
    redacted, findings = Redactor({}).data(value, guess=True)
    assert redacted == {
        "api_key": "[redacted: high-entropy value of 'api_key']",
        "tokens": ["the", "model"],
        "env": [{"name": "MY_TOKEN", "value": "[redacted: high-entropy value of 'token']"}],
        "n": OPAQUE,
    }
    assert len(findings) == 2
    assert Redactor({}).data(redacted, guess=True) == (redacted, ())
    assert Redactor({}).data(value, guess=False) == (value, ())


def test_data_nested_too_deeply_to_be_searched_is_not_let_through() -> None:
    value: object = HF
    for _ in range(5000):
        value = [value]
    redacted, findings = Redactor({}).data(value)
    assert HF not in str(redacted) and findings


@pytest.mark.parametrize(
    "content",
    [
        KNOWN.encode(),
        KNOWN.encode("utf-16-le"),
        KNOWN.encode("utf-16-be"),
        base64.b64encode(KNOWN.encode()),
        base64.b64encode(b"a" + KNOWN.encode()),
        base64.b64encode(b"ab" + KNOWN.encode()),
        KNOWN.encode().hex().encode(),
    ],
)
def test_known_values_are_found_in_bytes(content: bytes) -> None:
    around = random.Random(3).randbytes(1000)
    found = Redactor({"MY_TOKEN": KNOWN}).in_bytes(around + content + around)
    assert found == (Finding(kind="value of MY_TOKEN", line=0),)
    assert Redactor({"MY_TOKEN": KNOWN}).in_bytes(around * 50) == ()


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_providers_token_is_found_in_bytes_also_across_blocks(name: str) -> None:
    noise = bytes(1 << 20)
    content = b"\x80\x00" + noise * 4 + b"\xff" + PROVIDERS[name].encode() + b"\x00" + noise
    for cut in (0, 30, 60):
        assert len(Redactor({}).in_bytes(content[cut:])) == 1


def test_the_environment_gives_its_secrets_and_nothing_else() -> None:
    environ = {
        "HF_TOKEN": HF,
        "OPENAI_API_KEY": OPENAI,
        "MYSQL_PWD": PASSWORD,
        "APP_PASSWORD": "correcthorse",
        "PGPASSWD": made_up(9),
        "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
        "SESSION_COOKIE": OPAQUE,
        "REGISTRY_AUTH": b64(f"me:{PASSWORD}"),
        "CREDENTIALS": made_up(25),
        "DATABASE_URL": f"postgres://me:{made_up(12)}@db/x",
        "HTTPS_PROXY": f"http://me:{made_up(13)}@proxy:3128",
        "WEBHOOK": f"https://example.com/hook?token={made_up(14)}",
    }
    harmless = {
        "PWD": "/home/user/some/where",
        "OLDPWD": "/home/user/else",
        "SSH_AUTH_SOCK": "/tmp/ssh-XXXXAbCdEf/agent.1234",
        "KEY_FILE": "/etc/ssl/private/server.key",
        "GOOGLE_CREDENTIALS": "~/keys/service.json",
        "USE_AUTH": "true",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "disabled",
        "TOKENIZERS_PARALLELISM": "false-or-true-1",
        "MAX_TOKENS": "1234567890",
        "GIT_AUTHOR_NAME": "Ada Lovelace 1815",
        "KEYBOARD_LAYOUT": "us-international-2",
        "TOKEN_URL": "https://auth.example.com/oauth2/token",
        "SHORT_TOKEN": "abc12",
        "HOME": "/root",
    }
    redactor = Redactor.from_environment({**environ, **harmless}, {"extra": "an-extra-secret-1"})
    for name, value in environ.items():
        _, findings = redactor.text(f"<{value}>")
        assert findings and findings[0].kind == f"value of {name}", name
    for name, value in harmless.items():
        assert redactor.text(f"<{value}>") == (f"<{value}>", ()), name
    assert redactor.text("an-extra-secret-1")[1] == (Finding(kind="value of extra", line=1),)


@pytest.mark.parametrize(
    "key", ["swordfish", "20261129", "correct-horse-battery", "SUNSHINE", "abc123", "/opt/keys", "https://a.example/x9"]
)
def test_what_the_configuration_names_as_a_key_is_one_whatever_it_looks_like(key: str) -> None:
    redactor = Redactor.from_environment({"LAB_SERVER": key}, keys={"LAB_SERVER"})
    assert redactor.text(f"asked with {key} now") == (
        "asked with [redacted: value of LAB_SERVER] now",
        (Finding(kind="value of LAB_SERVER", line=1),),
    )


@pytest.mark.parametrize(
    "key",
    ["none", "EMPTY", "sk-no-key", "sk-no-key-required", "not-needed", "lm-studio", "your_api_key_here", "x" * 20, ""],
)
def test_what_stands_for_no_key_is_left_in_the_text(key: str) -> None:
    redactor = Redactor.from_environment({"LAB_SERVER": key}, keys={"LAB_SERVER"})
    assert redactor.text(f"words: {key}.") == (f"words: {key}.", ())


_HOSTILE = {
    "base64": lambda n: base64.b64encode(random.Random(4).randbytes(n * 3 // 4)).decode(),
    "quotes": lambda n: '"' * n,
    "one long line": lambda n: "a" * n,
    "backslashes": lambda n: "token" + "\\" * n,
    "line breaks": lambda n: "x\n" * (n // 2),
    "spaces": lambda n: "key" + " " * n,
    "beginnings of tokens": lambda n: "sk-proj-" * (n // 8),
    "beginnings of web tokens": lambda n: "eyJ" * (n // 3),
    "words": lambda n: "key%3d" * (n // 6),
    "addresses": lambda n: "://a:" * (n // 5),
    "key blocks": lambda n: f"-----BEGIN PRIV{'ATE'} KEY-----\n" * (n // 28),
    "marks": lambda n: "[redacted: " * (n // 11),
    "tokens": lambda n: (GITHUB + "\n") * (n // 41),
    "headers": lambda n: "wandb authorization: cookie: curl -u machine a login b " * (n // 55),
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_time_grows_with_the_length_only(name: str) -> None:
    redactor = Redactor({"MY_TOKEN": KNOWN})

    def seconds(length: int) -> float:
        text = _HOSTILE[name](length)
        started = time.process_time()
        redactor.text(text, guess=True)
        return time.process_time() - started

    small = min(seconds(100_000) for _ in range(2))
    assert seconds(400_000) < 10 * small + 0.3  # 16 times would be quadratic
