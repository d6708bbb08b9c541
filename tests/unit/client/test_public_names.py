"""All that a caller of the Python client can meet is exported and documented."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from google.protobuf.message import Message

import sonichaos_client
from sonichaos_client import AsyncClient, CallReport, Client, Credentials, JobEvent, JobHandle

EXPORTED = {name: getattr(sonichaos_client, name) for name in sonichaos_client.__all__}
CLASSES = {name: value for name, value in EXPORTED.items() if inspect.isclass(value) and not issubclass(value, Message)}


def public_members(kind: type) -> Iterator[tuple[str, Any]]:
    """Methods and properties of a class of the client, inherited ones of the client too."""
    for base in kind.__mro__:
        if base.__module__.startswith("sonichaos_client"):
            for name, value in vars(base).items():
                if not name.startswith("_") or name == "__init__":
                    yield name, getattr(value, "__func__", value)


def annotations_of(kind: type) -> Iterator[Any]:
    """The types in the signatures, properties and fields of a class."""
    names = {"Client": Client, "AsyncClient": AsyncClient}
    if dataclasses.is_dataclass(kind) or typing.is_typeddict(kind):
        yield from typing.get_type_hints(kind, localns=names).values()
    for _, member in public_members(kind):
        function = member.fget if isinstance(member, property) else member
        if inspect.isfunction(function):
            yield from typing.get_type_hints(function, localns=names).values()


def parts_of(annotation: Any) -> Iterator[Any]:
    """The classes in an annotation, such as those in a union or a generator."""
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation) or annotation
    if inspect.isclass(origin):
        yield origin
    for argument in arguments:
        for one in argument if isinstance(argument, list) else [argument]:
            yield from parts_of(one)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_type_in_a_signature_is_exported(name: str) -> None:
    """From the clients' methods to the fields of what they take and return; other packages' types are theirs."""
    exported = {id(value) for value in EXPORTED.values()}
    for annotation in annotations_of(CLASSES[name]):
        for kind in parts_of(annotation):
            assert not kind.__module__.startswith("sonichaos") or id(kind) in exported, kind


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_export_is_documented(name: str) -> None:
    """Classes, and each of their methods and properties, have docstrings of their own."""
    kind = CLASSES[name]
    assert kind.__doc__
    assert not dataclasses.is_dataclass(kind) or not kind.__doc__.startswith(f"{name}(")  # that of the decorator
    for member, value in public_members(kind):
        function = value.fget if isinstance(value, property) else value
        if inspect.isfunction(function) and member != "__init__":
            assert inspect.getdoc(function), f"{name}.{member}"


def test_the_walk_sees_what_matters() -> None:
    """Of a client its handle, of a handle its events, of a dataclass its fields, in unions and generators."""
    assert JobHandle in {one for hint in annotations_of(Client) for one in parts_of(hint)}
    assert JobEvent in {one for hint in annotations_of(JobHandle) for one in parts_of(hint)}
    assert {"service", "code"} <= {field.name for field in dataclasses.fields(CallReport)}
    assert str in {one for hint in annotations_of(Credentials) for one in parts_of(hint)}


def test_the_package_says_that_it_is_typed() -> None:
    """py.typed is in it, which tells type checkers to read its annotations."""
    assert files("sonichaos_client").joinpath("py.typed").is_file()
    assert files("sonichaos").joinpath("py.typed").is_file()
