"""Reading rule and schema files so that every node keeps its line.

The YAML dialect is small on purpose: only `null`, `true`, `false` and integers without a
leading zero are special, so `0344` and `on` mean what they say. Duplicate keys are refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from hub.domain.faults import Fault
from hub.errors import FaultsError

Path = tuple[str | int, ...]

_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)").fullmatch
_WORDS: Final[dict[str, object]] = {"null": None, "": None, "true": True, "false": False}
_NOT_YAML: Final = re.compile(r"\\u[0-9A-Fa-f]{4}|[^\x0a\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DEEPEST: Final = 60
_MOST_NODES: Final = 500_000
"""Aliases multiply; a file that unfolds to more than this is refused."""


@dataclass(slots=True)
class Source:
    """One parsed file: its value, and the line on which each part of it stands."""

    file: str
    value: Any
    lines: dict[Path, int] = field(default_factory=dict)
    text_lines: dict[Path, int] = field(default_factory=dict)
    """Where the text of a scalar begins: for a block (`|`) one line further down."""

    def line(self, path: Path) -> int:
        """Return the line of `path`, or of the nearest part above it that is there."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)

    def text_line(self, path: Path) -> int:
        """Return the line on which the text at `path` begins."""
        return self.text_lines.get(path, self.line(path))

    def fault(self, path: Path, what: str, fix: str = "", *, warning: bool = False) -> Fault:
        """Return a fault at `path`."""
        return Fault(self.file, self.line(path), what, fix, warning)


def read_yaml(file: str, text: str) -> Source:
    """Parse YAML. Raises FaultsError with the line, never with the content."""
    return _compose(file, text)


def read_json(file: str, text: str) -> Source:
    """Parse JSON, with lines. Raises FaultsError with the line, never with the content."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as exc:
        raise FaultsError([Fault(file, exc.lineno, f"not valid JSON: {exc.msg}", "")]) from None
    except (RecursionError, ValueError):
        raise FaultsError([Fault(file, 1, "nested too deeply, or a number is too long", "")]) from None
    # JSON is YAML too, but for some characters and escapes; those say nothing about lines.
    source = _compose(file, _NOT_YAML.sub(lambda match: " " if match[0] in "\t\r" else "x" * len(match[0]), text))
    source.value = value
    return source


def _compose(file: str, text: str) -> Source:
    source = Source(file, None)
    faults: list[Fault] = []
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
        if node is not None:
            source.value = _build(node, (), source, faults)
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise FaultsError([Fault(file, line, f"not valid YAML: {exc.problem}", "")]) from None
    except yaml.YAMLError:
        raise FaultsError([Fault(file, 1, "not valid YAML: a character is not allowed", "")]) from None
    except RecursionError:
        raise FaultsError([Fault(file, 1, "nested too deeply", "")]) from None
    if faults:
        raise FaultsError(faults)
    return source


def _build(node: yaml.Node, path: Path, source: Source, faults: list[Fault]) -> Any:
    line = node.start_mark.line + 1
    source.lines.setdefault(path, line)
    if len(path) > _DEEPEST:  # also an anchor that holds itself
        raise FaultsError([Fault(source.file, line, "nested too deeply", "")])
    if len(source.lines) > _MOST_NODES:
        raise FaultsError([Fault(source.file, line, "the file unfolds to too many parts", "use fewer aliases")])
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, i), source, faults) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, source, faults)
    is_block = node.style in {"|", ">"}  # type: ignore[attr-defined]
    source.text_lines[path] = line + 1 if is_block else line
    return _scalar(node)


def _mapping(node: yaml.MappingNode, path: Path, source: Source, faults: list[Fault]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            faults.append(Fault(source.file, line, "a key is not a plain word", "write `key: value`"))
            continue
        key = str(key_node.value)
        if key in result:
            faults.append(Fault(source.file, line, f"duplicate key `{key}`", "keep one of the two"))
            continue
        source.lines[(*path, key)] = line
        result[key] = _build(value_node, (*path, key), source, faults)
    return result


def _scalar(node: yaml.Node) -> object:
    text = str(node.value)
    if node.style:  # type: ignore[attr-defined]  # quoted or a block: text, whatever it looks like
        return text
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _INTEGER(text) else text
