"""Images in the form that the server reads: one slice a file, in a coding that it decodes."""
