"""The words of the program `cryptoviz`, one module for each group."""
