"""What ``ccsetup test`` finds out: whether an endpoint and a key do what a client needs, and if not, why.

settings, profile or preset ─► Target ─► layers: resolve, reach, key, wire, model, deep ─► Report

Pure: ``verdict``, ``target``, ``proxy``, ``classify``, ``requests``, ``shapes``, ``sse``, ``address``.  ``effective_*``
and ``saved`` make targets, ``http`` is the only one that opens a connection, ``run`` puts the layers in order: ``key``,
``wire``, ``models`` and ``deep`` are one layer each, and ``steps`` has what they know of a target.  Nothing here writes
a file of the user's.
"""
