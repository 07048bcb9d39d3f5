"""Stores received objects in a folder of the datastore: whole and durable, or not at all."""
