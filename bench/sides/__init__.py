"""The sides of the race: each makes one durable transaction of two steps, awaited."""
