"""The relay: several providers behind one local address, with failover, usage figures and wire-format translation.

An optional part (``pip install 'ccsetup[relay]'``): no other command imports it.
"""
