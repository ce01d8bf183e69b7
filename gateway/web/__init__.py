"""The browser client: its built files, and the pages at which the gateway serves it."""
