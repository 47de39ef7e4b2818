"""The report: a document of frozen values made from a study record, and the formats it is written in."""
