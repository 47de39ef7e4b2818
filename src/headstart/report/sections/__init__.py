"""The parts of the report, one file each: a record in, a section out."""
