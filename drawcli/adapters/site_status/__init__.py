"""The reports of other sites: from files in a folder, and from their web pages."""
