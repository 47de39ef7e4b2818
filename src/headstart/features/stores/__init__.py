"""Where the vectors of an index are kept: one contract, an embedded store of plain files."""
