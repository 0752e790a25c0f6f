"""What is left of a traceback for whoever wrote some of its files."""

import pytest

from ml_intern.agent.own_traceback import own_traceback, way_out

FRAMES = """  File "/somewhere/e1/train.py", line 54, in <module>
    model = fit(**given)
            ^^^^^^^^^^^^
  File "/somewhere/e1/model.py", line 7, in fit
    net.fit(x, y)
  File "/lib/sklearn/base.py", line 1403, in wrapper
    return fit_method(estimator)
ValueError: Found array with dim 3.
Expected 2.
"""
SHOWN = "model.py, line 7, in fit\n    net.fit(x, y)\nValueError: Found array with dim 3.\nExpected 2."


def test_own_lines_and_the_error_stay_and_the_rest_goes() -> None:
    text = f"It ended with exit code 1.\nsome warning\nTraceback (most recent call last):\n{FRAMES}"
    assert own_traceback(text, ["model.py"]) == SHOWN


def test_a_traceback_whose_beginning_was_cut_off_is_one_too() -> None:
    assert own_traceback(f"ot given\n    x(y)\n{FRAMES}", ["model.py"]) == SHOWN


def test_of_another_text_the_end_stays() -> None:
    assert own_traceback("fit() returned a str", ["model.py"]) == "fit() returned a str"
    assert len(own_traceback("x" * 9_000, ["model.py"])) < 2_000


@pytest.mark.parametrize(
    ("error", "way"),
    [
        (
            "TypeError: KNeighborsClassifier.__init__() got an unexpected keyword argument 'random_state'",
            "KNeighborsClassifier takes no random_state: leave random_state out.",
        ),
        (
            "AttributeError: 'KNeighborsClassifier' object has no attribute 'coef_'",
            "KNeighborsClassifier has no coef_: return from fit what it has learnt instead, as arrays (neighbours: the "
            "rows of train), and compute with that in predict.",
        ),
        (
            "ImportError: cannot import name 'LinearSVC' from 'sklearn.linear_model' (/lib/sklearn/__init__.py)",
            "It is somewhere else: from sklearn.svm import LinearSVC",
        ),
        (
            "ImportError: cannot import name 'DataLoader' from 'torch' (/lib/torch/__init__.py)",
            "It is somewhere else: from torch.utils.data import DataLoader",
        ),
        ("ImportError: cannot import name 'Zebra' from 'sklearn.svm' (/lib/sklearn/svm/__init__.py)", ""),
        ("ImportError: cannot import name 'Zebra' from 'zebras' (/lib/zebras.py)", ""),
        ("ImportError: cannot import name 'SVC' from 'sklearn.svm' (a circular import)", ""),
        ("TypeError: fit() got an unexpected keyword argument 'lr'", "fit takes no lr: leave lr out."),
        ("TypeError: fit() missing 1 required positional argument: 'y'", ""),
    ],
)
def test_an_argument_that_is_not_taken_is_to_be_left_out(error: str, way: str) -> None:
    assert way_out(f"model.py, line 18, in fit\n    f(x)\n{error}") == way
