"""What a re-render adds to a separation: the base version, alignment, the next version's files."""
