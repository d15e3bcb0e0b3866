"""What keeps a setup healthy: a table of small checks over everything that the clients read, each with its repair.

``look`` gathers what there is, ``checks`` lists the checks, each check turns a ``House`` into findings, and ``repair``
carries their repairs out on a draft.  Nothing here writes or prints.
"""
