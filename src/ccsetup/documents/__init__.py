"""Text in, text out: lossless edits of JSON and TOML documents.

Knows no client and no disk.
"""
