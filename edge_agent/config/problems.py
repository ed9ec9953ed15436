"""What is wrong in a configuration, in words: where, what, and what would be right."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from edge_agent.config.sections import Config


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration: where, what, and what would be right."""

    file: str
    key: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.what}; {self.hint}"


class ConfigError(Exception):
    """The configuration cannot be used. `problems` holds every reason."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


# What to say for pydantic's error types; {…} are filled from the error's context.
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("is missing", "{describe}"),
    "string_type": ("is not a text", "a text in quotes: {describe}"),
    "int_type": ("is not a whole number", "a number without quotes: {describe}"),
    "float_type": ("is not a number", "a number without quotes: {describe}"),
    "bool_type": ("is not true or false", "true or false without quotes"),
    "dict_type": ("is not a table", "{{ name = value, … }}"),
    "tuple_type": ("is not a list", "[ … ] or [[…]] sections"),
    "model_type": ("is not a table", "a [section] with keys: {describe}"),
    "model_attributes_type": ("is not a table", "a [section] with keys: {describe}"),
    "greater_than": ("is too small", "more than {gt}: {describe}"),
    "greater_than_equal": ("is too small", "{ge} or more: {describe}"),
    "less_than_equal": ("is too large", "{le} or less: {describe}"),
    "literal_error": ("is not one of the known values", "one of {expected}"),
    "string_too_short": ("is empty", "{describe}"),
    "too_short": ("is empty", "at least one: {describe}"),
}


def explain(error: ValidationError, tree: dict[str, Any], file: str) -> list[Problem]:
    """Every error of the validation as a problem a person can act on."""
    found: dict[tuple[str, str], Problem] = {}
    for item in error.errors(include_url=False):
        loc = item["loc"]
        key = _key(loc, tree)
        kind = item["type"]
        if kind == "extra_forbidden":
            what, hint = "is not a known key", _close_key(loc)
        elif kind == "value_error":
            what, _, hint = str(item["ctx"]["error"]).partition("|")
        else:
            words, advice = _WORDS.get(kind, (item["msg"], "{describe}"))
            shown = item["input"]
            what = words if kind == "missing" or isinstance(shown, dict | list) else f"{shown!r} {words}"
            hint = advice.format(describe=_describe(loc), **item.get("ctx", {}))
        found.setdefault((key, what), Problem(file, key, what, hint))
    return list(found.values())


def _model_of(annotation: Any) -> Any:
    for candidate in (annotation, *typing.get_args(annotation)):
        if isinstance(candidate, type) and typing.get_origin(candidate) is None and issubclass(candidate, BaseModel):
            return candidate
        if typing.get_args(candidate) and candidate is not annotation:
            inner = _model_of(candidate)
            if inner is not None:
                return inner
    return None


def _section(loc: tuple[int | str, ...]) -> tuple[type[BaseModel] | None, str]:
    """The model that holds the last key of a place, and that key."""
    names = [step for step in loc if isinstance(step, str)]
    model: type[BaseModel] | None = Config
    for name in names[:-1]:
        if model is None or name not in model.model_fields:
            return None, names[-1]
        model = _model_of(model.model_fields[name].annotation)
    return model, names[-1] if names else "-"


def _describe(loc: tuple[int | str, ...]) -> str:
    model, name = _section(loc)
    if model is None or name not in model.model_fields:
        return "see `edge-agent config schema`"
    field = model.model_fields[name]
    if field.description:
        return field.description
    inner = _model_of(field.annotation)
    return ", ".join(inner.model_fields) if inner is not None else "see `edge-agent config schema`"


def _close_key(loc: tuple[int | str, ...]) -> str:
    model, name = _section(loc)
    if model is None:
        return "remove it"
    close = difflib.get_close_matches(name, model.model_fields, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(model.model_fields)}"


def _key(loc: tuple[int | str, ...], tree: Any) -> str:
    """A place as a person would write it: `device[scale-1].port` with the id where there is one."""
    text = ""
    node = tree
    for step in loc:
        if isinstance(step, int):
            item = node[step] if isinstance(node, list | tuple) and step < len(node) else None
            name = item.get("id") if isinstance(item, dict) and isinstance(item.get("id"), str) else step + 1
            text += f"[{name}]"
            node = item
        else:
            text += f".{step}" if text else step
            node = node.get(step) if isinstance(node, dict) else None
    return text or "-"
