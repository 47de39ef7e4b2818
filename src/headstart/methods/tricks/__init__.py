"""Each of the bag of tricks as a switch: what it changes in the options, what it needs, where it comes from."""
