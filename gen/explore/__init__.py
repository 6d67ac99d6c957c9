"""Design-space exploration: spaces, an analytical model that prunes them, search, fronts."""
