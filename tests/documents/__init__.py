"""The command blocks of the documents, run as a reader would type them."""
