"""The routes, one file a noun. Each file has a list ROUTES of (method, path, handler)."""
