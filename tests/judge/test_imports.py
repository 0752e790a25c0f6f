"""Which files a script reads beside itself: a change of one of them makes other data."""

from pathlib import Path

import pyarrow as pa

from ml_intern.judge.imports import read_by
from ml_intern.judge.tables import described
from tests.judge.workshop import DATA, Workshop


def test_local_modules_are_followed_and_packages_are_not(tmp_path: Path) -> None:
    for name, text in {
        "data.py": "import numpy, rows\nfrom tools.words import x",
        "rows.py": "from deeper import y\nimport data",
        "deeper.py": "def broken(:",
        "tools/__init__.py": "",
        "tools/words.py": "from . import more",
        "unused.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert read_by(tmp_path, "data.py") == ("deeper.py", "rows.py", "tools/words.py")
    assert read_by(tmp_path, "missing.py") == ()


def test_data_are_made_again_when_a_module_of_data_py_has_changed(tmp_path: Path) -> None:
    count = "from rows import COUNT\n" + DATA.replace("size=(400, 6)", "size=(COUNT, 6)").replace(
        "0.5, 400", "0.5, COUNT"
    )
    shop = Workshop(tmp_path, {"data.py": count, "rows.py": "COUNT = 400"})
    assert "train 240" in shop.laboratory().data()[1]
    (shop.places.scripts / "rows.py").write_text("COUNT = 200")
    assert "train 120" in shop.laboratory().data()[1]


def test_a_column_is_described_by_its_shape_or_by_its_values() -> None:
    table = pa.table(
        {"image": [[[1.0, 2.0]] * 3] * 2, "ragged": [[1], [1, 2]], "label": [1, 0], "many": pa.array(["a", "b"])}
    )
    assert described(table, "image") == "double, shape (rows, 3, 2)"
    assert described(table, "ragged") == "int64, shape (rows, various)"
    assert described(table, "label") == "int64, 2 values: 0, 1"
    many = pa.table({"x": list(range(100))})
    assert described(many, "x").startswith("int64, 100 values: 0, 1, ") and described(many, "x").endswith(", …")
