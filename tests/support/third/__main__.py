"""The program with one client more: ``python -m support.third`` in the place of ``ccsetup``."""

from __future__ import annotations

from support.third.client import Yoke

from ccsetup.__main__ import main
from ccsetup.clients import register

register(Yoke())
main()
