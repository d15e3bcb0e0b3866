"""A ``NamedTuple`` that costs little to define, for what every command imports.

That of ``typing`` compiles each annotation and generates source for each class: 0.1 ms for a class, of 80 for a whole
command.  This one keeps the annotations as they are written and shares one constructor; the rest is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from collections import _tuplegetter

    class _Fields(type):
        def __new__(mcs, name, bases, body):
            if bases == (_Base,):
                fields = tuple(body.get("__annotations__", ()))
                defaults = {field: body[field] for field in fields if field in body}
                body |= {field: _tuplegetter(n, None) for n, field in enumerate(fields)}
                body |= {"_fields": fields, "__match_args__": fields, "_field_defaults": defaults, "__slots__": ()}
            return super().__new__(mcs, name, bases, body)

    _Base = None

    class NamedTuple(tuple, metaclass=_Fields):
        """As ``typing.NamedTuple``."""

        __slots__ = ()

        def __new__(cls, *values, **named):
            fields = cls._fields
            if named or len(values) != len(fields):
                given = dict(zip(fields, values))  # noqa: B905  checked below
                whole = {**cls._field_defaults, **given, **named}
                if len(values) > len(fields) or len(whole) != len(fields) or not named.keys().isdisjoint(given):
                    raise TypeError(f"{cls.__name__}({', '.join(fields)}) got {len(values)} values and {list(named)}")
                values = [whole[field] for field in fields]
            return tuple.__new__(cls, values)

        @classmethod
        def _make(cls, values):
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **named):
            made = tuple.__new__(type(self), [named.pop(*pair) for pair in self._asdict().items()])
            if named:
                raise ValueError(f"Got unexpected field names: {list(named)}")
            return made

        def _asdict(self):
            return dict(zip(self._fields, self))  # noqa: B905  as many, always

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{f}={v!r}' for f, v in self._asdict().items())})"

        def __getnewargs__(self):
            return tuple(self)

    _Base = NamedTuple
