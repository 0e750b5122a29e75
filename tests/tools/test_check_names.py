"""The lint of names sees what grep would trip over, and nothing else."""

from tools.check_names import findings

DOC = '"""A module."""\n'


def test_a_second_public_class_of_a_name_is_reported_with_both_places() -> None:
    found = findings({"services/a.py": DOC + "class Gadget: ...", "services/b.py": DOC + "class Gadget: ..."})
    assert found == ["services/a.py: class Gadget also stands in services/b.py; qualify it by its noun"]


def test_nested_classes_count() -> None:
    nested = DOC + "class Outer:\n    class Gadget: ..."
    assert len(findings({"a.py": nested, "b.py": DOC + "class Gadget(int): ..."})) == 1


def test_typing_protocols_are_exempt_and_asyncio_protocols_are_not() -> None:
    seam = DOC + "class Link(Protocol): ...\nclass Box(Protocol[T]): ..."
    assert findings({"a.py": seam, "b.py": DOC + "class Link: ...\nclass Box: ..."}) == []
    assert findings({"a.py": DOC + "class Link(asyncio.Protocol): ...", "b.py": DOC + "class Link: ..."})


def test_private_classes_and_the_codecs_twins_are_exempt() -> None:
    module = DOC + "class _Worker: ...\nclass ParameterSets: ..."
    assert findings({"h264.py": module, "h265.py": module}) == []


def test_a_module_without_docstring_is_reported_and_an_empty_package_is_not() -> None:
    assert findings({"a.py": "x = 1", "b/__init__.py": ""}) == ["a.py:1: the module has no docstring"]
