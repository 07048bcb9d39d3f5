"""Finding cases: patients and studies, held jobs by cause, saved filters, words of a series."""
