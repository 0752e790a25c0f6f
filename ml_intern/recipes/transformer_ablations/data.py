"""Numbers below a million in German words, part by part, and in English words: a translation with one right answer."""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--raw", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
args = parser.parse_args()
settings = json.loads(Path(__file__).with_name("settings.json").read_text())["data"]

ENGLISH = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
ENGLISH_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
GERMAN = ["null", "ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"]
GERMAN_TENS = ["zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"]


def english(n):
    if n >= 1000:
        return [*english(n // 1000), "thousand", *(english(n % 1000) if n % 1000 else [])]
    if n >= 100:
        return [ENGLISH[n // 100], "hundred", *(english(n % 100) if n % 100 else [])]
    if n >= 20:
        return [ENGLISH_TENS[n // 10 - 2], *([ENGLISH[n % 10]] if n % 10 else [])]
    return [ENGLISH[n]]


def german(n):
    """The last part of compounds first: 21 is `ein und zwanzig`."""
    if n >= 1000:
        return [*german(n // 1000), "tausend", *(german(n % 1000) if n % 1000 else [])]
    if n >= 100:
        return [GERMAN[n // 100], "hundert", *(german(n % 100) if n % 100 else [])]
    if n >= 20:
        return [*([GERMAN[n % 10], "und"] if n % 10 else []), GERMAN_TENS[n // 10 - 2]]
    return [GERMAN[n]] if n < 13 else [{16: "sech", 17: "sieb"}.get(n, GERMAN[n - 10]), "zehn"]


generator = np.random.default_rng(settings["seed"])
digits = generator.integers(3, 7, settings["rows"] * 2)
numbers = [int(generator.integers(10 ** (length - 1), 10**length)) for length in digits]
numbers = list(dict.fromkeys(numbers))[: settings["rows"]]
table = pa.table({"german": [" ".join(german(n)) for n in numbers], "english": [" ".join(english(n)) for n in numbers]})
with pa.OSFile(str(args.out / "table.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
    writer.write_table(table)
