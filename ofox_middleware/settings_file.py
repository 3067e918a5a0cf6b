"""The YAML file that settings may be written in: where it is, what it holds, and in which line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ofox_middleware.errors import SettingsError


def config_path(options: Mapping[str, Any]) -> Path | None:
    """The file that ``options`` name, else the one that ``OFOX_CONFIG`` does; ``None`` without one."""
    named = options.get("config") or os.environ.get("OFOX_CONFIG")
    return Path(named) if named else None


class _EachOnce(yaml.SafeLoader):
    """YAML that refuses a key given twice, of which PyYAML would take the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings by name; none for an empty file.

    Raises:
        SettingsError: the file cannot be read, or holds something else; says where.
    """
    try:
        values = yaml.load(path.read_text("utf-8"), _EachOnce)  # noqa: S506 - it is a SafeLoader
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8 text.") from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError(f"{path}{line}: {error.problem or 'is not YAML'}.") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: is not YAML: {error}.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{path}:1: must hold settings by name, such as `models: [openai/gpt-4o]`.")
    return values


def line_of(path: Path, loc: Sequence[int | str]) -> int:
    """The line (from 1) of the value at ``loc``, or of the innermost part of it that the file holds."""
    node = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    line = 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
