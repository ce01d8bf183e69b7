"""The browser client in a real browser: how soon it can be used, how smooth it is, and what memory it takes."""
