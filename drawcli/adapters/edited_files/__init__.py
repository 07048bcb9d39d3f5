"""Files of the site that are edited in the browser: saved under a lock, and committed by git."""
