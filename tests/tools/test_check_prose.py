"""The lint of prose finds its two habits, in code and in documents, and leaves other texts alone."""

import pytest

from tools.check_prose import findings


@pytest.mark.parametrize("word", ["whoever", "Whatever"])
def test_a_sentence_without_a_subject_is_found_in_its_line(word: str) -> None:
    assert findings("docs/x.md", f"One line.\n{word} asks gets an answer.") == [
        f"docs/x.md:2: {word!r}: name the subject"
    ]


def test_a_docstring_that_only_points_elsewhere_is_found() -> None:
    assert len(findings("x.py", 'def f():\n    """See `g`."""')) == 1
    assert len(findings("x.py", 'class C:\n    async def f(self):\n        """See `Base.f`, `g`"""')) == 1


def test_a_docstring_that_says_something_and_points_elsewhere_is_left_alone() -> None:
    assert findings("x.py", 'def f():\n    """Ends it; see `g`."""\n    return "See `g`."') == []
