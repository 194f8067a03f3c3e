"""The slot ``net``: networks, and the guards behind them."""
