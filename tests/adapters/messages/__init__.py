"""Tests of what was sent, and of silences."""
