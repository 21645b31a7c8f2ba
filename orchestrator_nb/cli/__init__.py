"""The command line: thin, lazy, and the only room that installs signal handlers and prints."""
