"""Pages about the site: audit log, statistics, notifications, users."""
