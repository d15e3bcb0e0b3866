"""ccsetup points Claude Code and Codex CLI at a model provider, and switches between providers."""

__version__ = "0.1.0"
