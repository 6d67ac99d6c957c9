"""What becomes hardware around a core on a board."""
