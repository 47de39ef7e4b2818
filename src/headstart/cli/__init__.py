"""The command line: one file a verb group; parse, call the library, show."""
