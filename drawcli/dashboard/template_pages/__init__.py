"""Pages of templates: the list, one template, and the editor with the server's catalogue."""
