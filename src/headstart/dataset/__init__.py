"""Data sets made and labelled: the journal of labels, building, converting, frames of a video, the data card."""
