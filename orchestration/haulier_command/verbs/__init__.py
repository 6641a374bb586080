"""One module for each verb family: it says what a verb takes, and a function of the verb's name does it."""
