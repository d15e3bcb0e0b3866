"""Codex CLI: everything that is known of it."""
