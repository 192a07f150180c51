"""BitMart Futures V2, as its reference describes it: REST and WebSocket over the simulated exchange."""
