"""How near is the end: margin tiers, liquidation prices, margin ratios, distance, protection cover, ages, cross-checks."""
