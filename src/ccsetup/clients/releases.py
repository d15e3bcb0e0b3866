"""The releases of the clients that this program is tried with, newest first; nothing else names them.

The newest one is what is written for where the client is not installed, and what ``ccsetup test`` says that it is.
Run by path in places that have no package, so it imports nothing.
"""

CLAUDE_CODE = (
    "2.1.332",  # tool search, unknown models get a window of one million tokens
    "2.1.197",  # roles [user, system] in the messages
    "2.0.76",  # JavaScript package
)

CODEX = (
    "0.171.0",  # compressed answers, gpt-6.2-sol by default
    "0.160.0",  # profile files; [agents] enabled = false is allowed
    "0.133.0",  # the last one with [profiles.NAME] tables; [agents] enabled = false is fatal
)
