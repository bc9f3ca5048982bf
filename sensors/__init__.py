"""What starts runs by itself: each sensor reads the state and calls a pure decision."""
