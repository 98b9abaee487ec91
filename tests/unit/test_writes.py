"""Every method that writes is run again when its transaction met another one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import madang

SOURCE = Path(madang.__file__).parent
Function = ast.AsyncFunctionDef | ast.FunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """What stands in it, but not in a function within."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function):
            waiting += ast.iter_child_nodes(node)


def writes(function: Function) -> bool:
    """Whether it opens `<something>.write()`; a file's takes what to write."""
    calls = (node for node in own_nodes(function) if isinstance(node, ast.Call))
    return any(isinstance(c.func, ast.Attribute) and c.func.attr == "write" and not c.args for c in calls)


def is_retried(function: Function) -> bool:
    return any(isinstance(each, ast.Name) and each.id == "retried" for each in function.decorator_list)


def test_every_method_that_writes_is_retried():
    files = [path for path in SOURCE.rglob("*.py") if path.parent != SOURCE / "kernel/database"]
    found = [(path, each) for path in files for each in functions(ast.parse(path.read_text())) if writes(each)]
    assert len(found) > 20
    left_out = [f"{path.relative_to(SOURCE)}: {each.name}" for path, each in found if not is_retried(each)]
    assert left_out == []


def test_nothing_is_told_to_others_before_the_commit():
    """What is run again must have no effect elsewhere: events and files are the caller's."""
    for path in SOURCE.rglob("*.py"):
        for each in functions(ast.parse(path.read_text())):
            if is_retried(each):
                calls = {
                    c.func.attr
                    for c in own_nodes(each)
                    if isinstance(c, ast.Call) and isinstance(c.func, ast.Attribute)
                }
                assert not calls & {"publish", "record", "record_by", "tell", "wake", "unlink", "write_text"}, each.name
