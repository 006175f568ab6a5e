"""Docker's verbs, one file a noun; `minidock.engine.Engine` is all of them together."""
