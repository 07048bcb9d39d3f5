"""Tests of the sandbox, one file a module."""
