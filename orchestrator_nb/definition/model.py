"""What all models of a definition have in common: plain frozen objects that keep what was said, checked when made.

A class declares its fields once. Values that plainly fit are taken as they are; all others are pydantic's to judge, for
which a model of its own is made of the same declarations, when it is first asked. So a workflow that is written in
Python starts without pydantic, and whatever is wrong is told by it, wherever it was written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import reduce
from inspect import get_annotations
from operator import or_
from types import SimpleNamespace, UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from typing_extensions import Self

from orchestrator_nb.definition.fields import MISSING, FieldInfo, Reader, reader_of

Kind = TypeVar("Kind", bound="Model")


class Invalid(ValueError):
    """A model that cannot be; `errors` are pydantic's, each with `type`, `loc`, `msg` and `input`."""

    def __init__(self, errors: list[Any]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in errors))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.errors,)


class Model:
    """Frozen, and strict about names: what nothing acts on is a mistake, not a comment.

    An object has the fields that were said in its `__dict__`; those that were not are at the default of the class.
    """

    model_fields: ClassVar[dict[str, FieldInfo]] = {}
    places: ClassVar[dict[str, int]] = {}
    """The place of each field in the order of the declarations."""
    _types: ClassVar[dict[str, Any]] = {}
    _readers: ClassVar[dict[str, Reader]] = {}
    _required: ClassVar[frozenset[str]] = frozenset()
    _twin: ClassVar[Any] = None

    def __init_subclass__(cls) -> None:
        declared: dict[str, FieldInfo] = {}
        for name in get_annotations(cls):
            given = cls.__dict__.get(name, MISSING)
            field = declared[name] = given if isinstance(given, FieldInfo) else FieldInfo(given)
            if field.default is not MISSING:
                setattr(cls, name, field.default)
            elif given is not MISSING:
                delattr(cls, name)
        cls.model_fields = {**cls.model_fields, **declared}
        cls.places = {name: place for place, name in enumerate(cls.model_fields)}
        cls._types, cls._readers = {}, {}
        cls._twin = None
        cls._required = frozenset(name for name, field in cls.model_fields.items() if field.default is MISSING)

    def __init__(self, **fields: Any) -> None:
        """Make a model of these fields. Raises Invalid."""
        found = self.evident(fields)
        made = judged(type(self), _said(fields), strict=False) if found is MISSING else found
        self.__dict__.update(made.__dict__)

    @classmethod
    def read(cls, data: Any) -> Self:
        """Return the model of a mapping in the canonical form, in which nothing is converted. Raises Invalid."""
        found = cls.evident(data)
        made: Self = judged(cls, data, strict=True) if found is MISSING else found
        return made

    @classmethod
    def evident(cls, data: Any) -> Any:
        """Return the model where all that is given plainly fits, else MISSING."""
        if type(data) is not dict:
            return data if type(data) is cls else MISSING
        found: dict[str, Any] = {}
        readers = cls._readers
        for name, value in data.items():
            reader = readers.get(name) or cls._reader(name)
            if reader is None or (taken := reader(value)) is MISSING:
                return MISSING
            found[name] = taken
        if not cls._required <= found.keys() or cls.wrong(found) is not None:
            return MISSING
        return cls.made(found)

    @classmethod
    def made(cls, fields: Mapping[str, Any]) -> Self:
        """Return the model with these fields, which are known to be right."""
        model = cls.__new__(cls)
        model.__dict__.update(fields)
        return model

    @classmethod
    def wrong(cls, fields: Mapping[str, Any]) -> str | None:  # noqa: ARG003
        """Return what is wrong with the fields together, each being right by itself; the default finds nothing."""
        return None

    @classmethod
    def annotation(cls, name: str) -> Any:
        """Return the type of a field, read from its declaration when it is first asked for: a run needs few of them."""
        known = cls._types.get(name)
        if known is None:
            owner = next(base for base in cls.__mro__ if name in get_annotations(base))
            declared = SimpleNamespace(__annotations__={name: get_annotations(owner)[name]})
            around = vars(sys.modules[owner.__module__])
            known = cls._types[name] = get_type_hints(declared, around, include_extras=True)[name]
        return known

    @classmethod
    def _reader(cls, name: Any) -> Reader | None:
        field = cls.model_fields.get(name)
        if field is None:
            return None
        found = cls._readers[name] = reader_of(cls.annotation(name), field.limits)
        return found

    @property
    def model_fields_set(self) -> set[str]:
        """The names of the fields that were said."""
        return {name for name in self.__dict__ if name in self.model_fields}

    def model_copy(self, *, update: Mapping[str, Any]) -> Self:
        """Return the same with other fields, which are known to be right."""
        return self.made({**{name: self.__dict__[name] for name in self.model_fields_set}, **update})

    def model_dump(self, *, exclude_none: bool = False, exclude_defaults: bool = False) -> dict[str, Any]:
        """Return the fields as plain data, with models inside as mappings."""
        fields = ((name, getattr(self, name)) for name in self.model_fields)
        return {
            name: _dumped(value, exclude_none=exclude_none, exclude_defaults=exclude_defaults)
            for name, value in fields
            if not (exclude_none and value is None)
            and not (exclude_defaults and value == self.model_fields[name].default)
        }

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of it, as pydantic makes it."""
        found: dict[str, Any] = _twin(cls).model_json_schema()
        return found

    def _values(self) -> Iterator[Any]:
        return (getattr(self, name) for name in self.model_fields)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(map(_equal, self._values(), other._values()))

    __hash__ = None  # type: ignore[assignment]  # some fields are mappings

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.model_fields if name in self.__dict__)
        return f"{type(self).__name__}({said})"

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f'"{name}" cannot be changed: make another {type(self).__name__} with `model_copy`')

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f'"{name}" cannot be taken away from a {type(self).__name__}')


def _equal(one: Any, other: Any) -> bool:
    return bool(one is other or one == other)


def _dumped(value: Any, **how: bool) -> Any:
    if isinstance(value, Model):
        return value.model_dump(**how)
    if type(value) is tuple:
        return tuple([_dumped(item, **how) for item in value])
    return {name: _dumped(item, **how) for name, item in value.items()} if type(value) is dict else value


def _said(value: Any) -> Any:
    """Return models as mappings of what was said."""
    if isinstance(value, Model):
        return {name: _said(getattr(value, name)) for name in value.model_fields_set}
    if type(value) in (tuple, list):
        return type(value)(_said(item) for item in value)
    return {name: _said(item) for name, item in value.items()} if type(value) is dict else value


# ── pydantic, where it is needed ────────────────────────────────────────────────────────────────────────────────


def judged(kind: type[Model], data: Any, *, strict: bool) -> Any:
    """Return the model as pydantic makes it of the data; `strict` converts nothing. Raises Invalid."""
    from pydantic import ValidationError

    try:
        found = _twin(kind).model_validate(_said(data), strict=strict)
    except ValidationError as error:
        raise Invalid(error.errors(include_url=False, include_context=False)) from None
    return _from_twin(found)


def _twin(kind: type[Model]) -> Any:
    """Return the pydantic model with the declarations of one of ours, made once."""
    if kind._twin is None:
        kind._twin = _made_twin(kind)
    return kind._twin


def _made_twin(kind: type[Model]) -> Any:
    from pydantic import BaseModel, ConfigDict, create_model, model_validator

    def check(self: Any) -> Any:
        wrong = kind.wrong(self.__dict__)
        if wrong is not None:
            raise ValueError(wrong)
        return self

    base: Any = type("Model", (BaseModel,), {
        "model_config": ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False), "__module__": __name__,
    })  # fmt: skip
    fields: dict[str, Any] = {
        name: (_translated(kind.annotation(name)), _pydantic_field(field, _in_twin(field.default)))
        for name, field in kind.model_fields.items()
    }
    validators: dict[str, Any] = {"_wrong": model_validator(mode="after")(check)}
    twin = create_model(kind.__name__, __base__=base, __doc__=kind.__doc__, __validators__=validators, **fields)
    _ours[twin] = kind
    return twin


_ours: dict[type, type[Model]] = {}
"""Our model for each of pydantic's."""


def _pydantic_field(field: FieldInfo, default: Any = MISSING) -> Any:
    from pydantic import Field

    given = {} if default is MISSING else {"default": default}
    if type(default) is dict:
        given = {"default_factory": dict}
    return Field(description=field.description, **given, **field.limits)


def _in_twin(value: Any) -> Any:
    return _twin(type(value))(**_said(value)) if isinstance(value, Model) else value


def _translated(annotation: Any) -> Any:
    """Return a type with pydantic's declarations in the place of ours."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return _twin(annotation)
    if origin is Annotated:
        declared = [_pydantic_field(item) if isinstance(item, FieldInfo) else item for item in arguments[1:]]
        return reduce(lambda inner, item: Annotated[inner, item], declared, _translated(arguments[0]))
    if origin in (Union, UnionType):
        return reduce(or_, map(_translated, arguments))
    if origin in (tuple, dict, list):
        return origin[tuple(argument if argument is ... else _translated(argument) for argument in arguments)]
    return annotation


def _from_twin(value: Any) -> Any:
    """Return our models for pydantic's."""
    kind = _ours.get(type(value))
    if kind is not None:
        return kind.made({name: _from_twin(value.__dict__[name]) for name in value.model_fields_set})
    if type(value) is tuple:
        return tuple([_from_twin(item) for item in value])
    if type(value) is dict and any(type(item) in _ours for item in value.values()):
        return {name: _from_twin(item) for name, item in value.items()}
    return value
