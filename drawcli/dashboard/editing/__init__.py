"""Rules and templates edited in the browser: shown as a diff, saved and committed."""
