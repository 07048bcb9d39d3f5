"""Who may open the page and do what: addresses, passwords, sessions, rights."""
