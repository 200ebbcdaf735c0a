"""Plain JSON values read strictly: what is unknown or misspelt is named."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar, cast

from aefi_bluesky.domain.checks import ErrorType
from aefi_bluesky.domain.errors import InvalidScanSpecError

_E = TypeVar("_E", bound=StrEnum)
_T = TypeVar("_T")

Reader = Callable[[Any], object]
"""Makes a field's value of what stands in JSON, or refuses it."""


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """Return what a refusal of `name` adds: the nearest known one, if one is near."""
    near = difflib.get_close_matches(name, tuple(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def known_keys(
    what: str,
    plain: Any,
    known: Collection[str],
    *,
    optional: Collection[str] = (),
    error: ErrorType = InvalidScanSpecError,
) -> dict[str, Any]:
    """Return the mapping `plain` if its keys are `known`, all but the optional ones."""
    if not isinstance(plain, Mapping):
        raise error(f"{what} must be a mapping, was {plain!r}")
    asked = cast("Mapping[Any, Any]", plain)
    for key in asked:
        if key not in known:
            hint = nearest_hint(str(key), known)
            raise error(f"{what}: unknown key {key!r}{hint}")
    for key in known:
        if key not in asked and key not in optional:
            raise error(f"{what}: key {key!r} is missing")
    return {str(key): value for key, value in asked.items()}


def known_fields(
    what: str, cls: type, plain: Any, *, error: ErrorType = InvalidScanSpecError
) -> dict[str, Any]:
    """Return the mapping `plain` if its keys are the fields of the dataclass `cls`."""
    fields = dataclasses.fields(cls)
    missing = (dataclasses.MISSING,) * 2
    optional = [f.name for f in fields if (f.default, f.default_factory) != missing]
    known = [field.name for field in fields]
    return known_keys(what, plain, known, optional=optional, error=error)


def from_known_fields(
    what: str, cls: type[_T], plain: Any, readers: Mapping[str, Reader] | None = None
) -> _T:
    """Return the dataclass made of a mapping; readers make values of its fields."""
    values = known_fields(what, cls, plain)
    for name, reader in (readers or {}).items():
        if name in values:
            values[name] = reader(values[name])
    return cls(**values)


def to_plain(value: Any) -> Any:
    """Return a dataclass of dataclasses, enums, tuples and numbers as JSON values."""
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {each.name: to_plain(getattr(value, each.name)) for each in fields}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [to_plain(each) for each in cast("tuple[Any, ...]", value)]
    return value


def require_member(
    what: str, kind: type, value: object, *, error: ErrorType = InvalidScanSpecError
) -> None:
    """Refuse what is not of its kind; text for an enum too: `is` would not find it."""
    if not isinstance(value, kind):
        raise error(f"{what} must be of type {kind.__name__}, was {value!r}")


def member(
    what: str, enum: type[_E], value: object, *, error: ErrorType = InvalidScanSpecError
) -> _E:
    """Return the member of `enum` whose value this is."""
    try:
        return enum(str(value))
    except ValueError as err:
        allowed = ", ".join(enum)
        raise error(f"{what} must be one of {allowed}, was {value!r}") from err


def member_of(what: str, enum: type[_E]) -> Callable[[Any], _E]:
    """Return what reads a member of `enum`."""
    return partial(member, what, enum)


def differences(
    asked: Mapping[str, Any], found: Mapping[str, Any], within: str = ""
) -> Iterator[str]:
    """Yield where two mappings of the same keys differ, as ``n_avg 10, found 20``.

    Numbers that differ by rounding only, at most 1e-9 of them, are the same.
    """
    for key, value in asked.items():
        other = found.get(key)
        one, two = _as_mapping(value), _as_mapping(other)
        if one is not None and two is not None:
            yield from differences(one, two, f"{within}{key}.")
        elif not _same(value, other):
            yield f"{within}{key} {value}, found {other}"


def _as_mapping(value: object) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else None


def _same(one: object, other: object) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other
