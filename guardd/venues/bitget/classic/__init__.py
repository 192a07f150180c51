"""Bitget's classic account (V2 "mix"): USDT-M, USDC-M and Coin-M futures of one account. Its facts: Bitget reference, 1-19."""
