"""Exchanges: what their frames and answers mean, one folder for each."""
