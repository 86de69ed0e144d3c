"""The pure core: rules only. No I/O, clock, chance, logging or asyncio; time, identity and jitter arrive as data."""
