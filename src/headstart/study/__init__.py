"""A study: a plan of cells, runs that can be stopped and resumed, and a record of what came out."""
