"""How a member bargains with others, pair by pair, where the market is bilateral."""
