"""The cheap NamedTuple behaves as that of ``typing``."""

from __future__ import annotations

import copy
import pickle
import typing
from typing import Any, Callable

import pytest

from ccsetup import tuples


class Ours(tuples.NamedTuple):
    """Two, with defaults."""

    a: int
    b: str = "x"
    c: tuple[int, ...] = ()

    @property
    def both(self) -> str:
        return f"{self.a}{self.b}"


class Theirs(typing.NamedTuple):
    """Two, with defaults."""

    a: int
    b: str = "x"
    c: tuple[int, ...] = ()

    @property
    def both(self) -> str:
        return f"{self.a}{self.b}"


class Derived(Ours):
    """More behaviour, no more fields."""

    extra = 3


def said(make: Callable[[Any], Any], kind: type) -> Any:
    """Return what *make* gives of a class, by its name; or the kind of its error."""
    try:
        return repr(make(kind)).replace(kind.__name__, "")
    except Exception as e:
        return type(e)


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t(1),
        lambda t: t(1, "b", (2,)),
        lambda t: t(a=1, c=(3,)),
        lambda t: t(c=(3,), a=1, b="y"),
        lambda t: t(1, c=(3,)),
        lambda t: t(),
        lambda t: t(b="y"),
        lambda t: t(1, "b", (), 4),
        lambda t: t(1, a=2),
        lambda t: t(1, d=2),
        lambda t: t(1)._replace(b="z"),
        lambda t: t(1)._replace(),
        lambda t: t(1)._replace(d=1),
        lambda t: t(1)._asdict(),
        lambda t: t._make([1, "b", ()]),
        lambda t: t._make([1]),
        lambda t: t._make([1, 2, 3, 4]),
        lambda t: (t._fields, t._field_defaults, t.__match_args__, t.__doc__, list(t.__annotations__)),
        lambda t: (
            t(1) == (1, "x", ()),
            t(1) == t(1, "x"),
            t(1) != t(2),
            t(1) < t(2),
            hash(t(1)) == hash((1, "x", ())),
        ),
        lambda t: (*t(1), t(1)[1], t(1)[-1:], len(t(1)), t(5).both),
        lambda t: setattr(t(1), "a", 2),
        lambda t: setattr(t(1), "d", 2),
        lambda t: (copy.copy(t(1)), copy.deepcopy(t(1)), pickle.loads(pickle.dumps(t(1)))),
    ],
)
def test_it_does_what_that_of_typing_does(make: Callable[[Any], Any]) -> None:
    """The same values, and the same kinds of errors."""
    assert said(make, Ours) == said(make, Theirs)


def test_patterns_and_classes_made_of_one() -> None:
    """``match`` takes it apart; a class made of one has its fields."""
    match Ours(1, "b"):
        case Ours(a, b="b"):
            assert a == 1
        case _:
            pytest.fail("no match")
    assert repr(Derived(4)) == "Derived(a=4, b='x', c=())"
    assert type(Derived(4)._replace(a=5)) is Derived
    assert isinstance(Derived(4), tuple)
