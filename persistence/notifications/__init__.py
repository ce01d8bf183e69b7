"""Watch lists, saved searches and notifications."""
